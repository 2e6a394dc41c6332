using System.Text;
using Discobot.Integration.Fixtures;
using DotNet.Testcontainers.Builders;

namespace Discobot.Integration.Wire;

/// <summary>gRPC between grpcio's client and server, the client knowing nothing but <c>https_proxy</c>.</summary>
[Collection("network")]
public sealed class GrpcTests(NetworkFixture fixture)
{
    [Fact]
    public async Task Calls_streams_failures_and_trailers_pass()
    {
        var (certificate, key) = fixture.Authority.IssuePem("grpc.test");
        await using var server = Engine.Container(Engine.Tools)
            .WithEntrypoint("python3", "/tools/grpc_echo.py", "serve", "443", "/tls/server.crt", "/tls/server.key")
            .WithNetwork(fixture.Network).WithNetworkAliases("grpc.test")
            .WithResourceMapping(Encoding.ASCII.GetBytes(certificate), "/tls/server.crt")
            .WithResourceMapping(Encoding.ASCII.GetBytes(key), "/tls/server.key")
            .WithWaitStrategy(Wait.ForUnixContainer().UntilMessageIsLogged("serving"))
            .Build();
        await server.StartAsync();

        var said = await fixture.First.RunAsync("python3", "/tools/grpc_echo.py", "call", "grpc.test:443", "/tls/proxy-ca.crt");

        Assert.Equal(
            """
            unary 100000 100000
            failure FAILED_PRECONDITION as asked
            stream ONE
            stream TWO
            stream THREE
            trailers 3

            """, said);
    }
}
