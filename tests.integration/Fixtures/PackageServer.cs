using System.Text;
using DotNet.Testcontainers.Builders;
using DotNet.Testcontainers.Containers;
using DotNet.Testcontainers.Networks;

namespace Discobot.Integration.Fixtures;

/// <summary>An npm registry and git repositories over https, as <c>packages.test</c>: <c>/npm</c>, <c>/repo.git</c>, and
/// <c>/private.git</c>, the same repository for those who have a password.</summary>
internal static class PackageServer
{
    public static async Task<IContainer> StartAsync(INetwork network, TestAuthority authority)
    {
        var (certificate, key) = authority.IssuePem("packages.test");
        var server = Engine.Container(Engine.Tools)
            .WithEntrypoint("python3", "/tools/packages.py", "/tls/server.crt", "/tls/server.key", "packages.test")
            .WithNetwork(network).WithNetworkAliases("packages.test", "elsewhere.test")
            .WithResourceMapping(Encoding.ASCII.GetBytes(certificate), "/tls/server.crt")
            .WithResourceMapping(Encoding.ASCII.GetBytes(key), "/tls/server.key")
            .WithWaitStrategy(Wait.ForUnixContainer().UntilMessageIsLogged("serving"))
            .Build();
        await server.StartAsync();
        return server;
    }
}
