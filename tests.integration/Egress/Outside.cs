using System.Text;
using Discobot.Integration.Fixtures;
using Discobot.Integration.Init;
using DotNet.Testcontainers.Builders;
using DotNet.Testcontainers.Containers;
using DotNet.Testcontainers.Networks;

namespace Discobot.Integration.Egress;

/// <summary>
/// The world outside: <c>allowed.test</c> and <c>forbidden.test</c>, all of 203.0.113.1, 203.0.113.7 and 2001:db8::1, a name server, and a record of
/// every packet that arrives. A session that is made with it as its way out sends it what is for anywhere else, too.
/// </summary>
internal sealed class Outside : IAsyncDisposable
{
    /// <summary>An address that no name of these tests has.</summary>
    public const string Elsewhere = "203.0.113.1";

    /// <summary>The same of IPv6.</summary>
    public const string Elsewhere6 = "2001:db8::1";

    private readonly IContainer _container;

    private Outside(IContainer container) => _container = container;

    public string Address => _container.IpAddress;

    /// <summary>Its address of the other family, which its names have as well.</summary>
    public async Task<string> Address6Async()
        => (await Engine.DockerAsync("inspect", "-f", "{{range .NetworkSettings.Networks}}{{.GlobalIPv6Address}}{{end}}", _container.Id)).Trim();

    public static async Task<Outside> StartAsync(INetwork network, TestAuthority authority)
    {
        var (certificate, key) = authority.IssuePem("allowed.test", "forbidden.test", "deep.allowed.test", Elsewhere);
        var container = Engine.Container(Engine.Tools)
            .WithEntrypoint("python3", "/tools/outside.py")
            .WithNetwork(network).WithNetworkAliases("allowed.test", "forbidden.test")
            .WithCreateParameterModifier(parameters => parameters.HostConfig!.CapAdd = ["NET_ADMIN"])
            .WithResourceMapping(Encoding.ASCII.GetBytes(certificate), "/tls/server.crt")
            .WithResourceMapping(Encoding.ASCII.GetBytes(key), "/tls/server.key")
            .WithWaitStrategy(Wait.ForUnixContainer().UntilMessageIsLogged("outside"))
            .Build();
        await container.StartAsync();
        return new Outside(container);
    }

    /// <summary>Every packet that has arrived from a session so far: protocol, destination, port.</summary>
    public async Task<IReadOnlyList<string>> PacketsFromAsync(SessionContainer session)
    {
        var sender = (await Engine.DockerAsync("inspect", "-f", "{{range .NetworkSettings.Networks}}{{.MacAddress}}{{end}}", session.Id)).Trim();
        return [.. (await LinesAsync("/tmp/packets")).Where(line => line.StartsWith(sender + " ", StringComparison.Ordinal)).Select(line => line[(sender.Length + 1)..])];
    }

    /// <summary>The same from anybody, behind the sender's hardware address.</summary>
    public Task<string[]> PacketsAsync() => LinesAsync("/tmp/packets");

    /// <summary>Every name that its name server was asked for.</summary>
    public Task<string[]> NamesAsync() => LinesAsync("/tmp/names");

    /// <summary>Asks as somebody outside.</summary>
    /// <returns>The answer's status.</returns>
    public Task<string> FetchStatusAsync(string url) => _container.RunAsync("curl", "-sS", "-m", "5", "-o", "/dev/null", "-w", "%{http_code}", url);

    public ValueTask DisposeAsync() => _container.DisposeAsync();

    private async Task<string[]> LinesAsync(string file) => (await _container.RunAsync("cat", file)).Split('\n', StringSplitOptions.RemoveEmptyEntries);
}
