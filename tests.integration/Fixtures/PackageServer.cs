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

    /// <summary>Starts a container with npm, pip, git and curl that knows these servers and reaches them through a proxy alone.</summary>
    /// <param name="proxy">Its name on the network.</param>
    /// <param name="authority">Its CA.</param>
    public static async Task<IContainer> StartClientAsync(INetwork network, string proxy, byte[] authority)
    {
        var client = Engine.Container(Engine.Tools)
            .WithEntrypoint("sleep", "infinity")
            .WithNetwork(network)
            .WithEnvironment("https_proxy", $"http://{proxy}:17080").WithEnvironment("http_proxy", $"http://{proxy}:17080")
            .WithEnvironment("NODE_EXTRA_CA_CERTS", "/ca.crt").WithEnvironment("GIT_SSL_CAINFO", "/ca.crt")
            .WithEnvironment("CURL_CA_BUNDLE", "/ca.crt").WithEnvironment("PIP_CERT", "/ca.crt")
            .WithEnvironment("npm_config_registry", "https://packages.test/npm/").WithEnvironment("PIP_INDEX_URL", "https://packages.test/simple/")
            .WithResourceMapping(authority, "/ca.crt")
            .Build();
        await client.StartAsync();
        return client;
    }
}
