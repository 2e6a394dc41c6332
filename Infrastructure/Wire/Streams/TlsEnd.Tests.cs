using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using Discobot.Tests.Fixtures;

namespace Discobot.Infrastructure.Wire.Streams;

public sealed class TlsEndTests : IDisposable
{
    private const int Records = 3000;
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);
    private readonly TestAuthority _authority = new();
    private readonly X509Certificate2 _certificate;

    public TlsEndTests() => _certificate = _authority.Issue(["localhost"]);

    public void Dispose()
    {
        _certificate.Dispose();
        _authority.Dispose();
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task It_can_be_said_while_much_is_read(bool isClients)
    {
        var (client, server) = await ConnectAsync();
        await using var ends = client;
        await using var others = server;
        var (ending, sending) = isClients ? (client, server) : (server, client);
        var reading = CountAsync(ending);
        var told = CountAsync(sending);
        var half = new TaskCompletionSource();
        var send = Task.Run(async () =>
        {
            for (var i = 0; i < Records; i++)
            {
                await sending.WriteAsync("x"u8.ToArray());
                if (i == Records / 10)
                    half.SetResult();
            }

            await TlsEnd.SayAsync(sending);
        });
        await half.Task.WaitAsync(Limit);

        await TlsEnd.SayAsync(ending);

        Assert.Equal(Records, await reading.WaitAsync(Limit));
        Assert.Equal(0, await told.WaitAsync(Limit));
        await send.WaitAsync(Limit);
    }

    [Fact]
    public async Task It_can_be_said_while_tickets_arrive()
    {
        for (var i = 0; i < 50; i++)
        {
            var (client, server) = await ConnectAsync();
            await using var ends = client;
            await using var others = server;
            var reading = CountAsync(client);
            await TlsEnd.SayAsync(client);
            Assert.Equal(0, await CountAsync(server).WaitAsync(Limit));
            await server.WriteAsync("heard"u8.ToArray());
            await TlsEnd.SayAsync(server);
            Assert.Equal(5, await reading.WaitAsync(Limit));
        }
    }

    [Fact]
    public async Task Said_twice_it_is_an_IOException()
    {
        var (client, server) = await ConnectAsync();
        await using var ends = client;
        await using var others = server;
        await TlsEnd.SayAsync(client);

        await Assert.ThrowsAsync<IOException>(() => TlsEnd.SayAsync(client));
    }

    private static async Task<int> CountAsync(SslStream stream)
    {
        var (buffer, total) = (new byte[1000], 0);
        while (await stream.ReadAsync(buffer) is var count and > 0)
            total += count;
        return total;
    }

    private async Task<(SslStream Client, SslStream Server)> ConnectAsync()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var client = new TcpClient { NoDelay = true };
        await client.ConnectAsync((IPEndPoint)listener.LocalEndpoint);
        var server = await listener.AcceptTcpClientAsync();
        server.NoDelay = true;
        var (one, other) = (new SslStream(client.GetStream()), new SslStream(server.GetStream()));
        await Task.WhenAll(
            one.AuthenticateAsClientAsync(new SslClientAuthenticationOptions { TargetHost = "localhost", CertificateChainPolicy = _authority.TrustOnlyThis() }),
            other.AuthenticateAsServerAsync(_certificate)).WaitAsync(Limit);
        return (one, other);
    }
}
