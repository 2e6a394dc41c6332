using System.Text;
using DotNet.Testcontainers.Builders;
using DotNet.Testcontainers.Containers;
using DotNet.Testcontainers.Networks;

namespace Discobot.Integration.Fixtures;

/// <summary>The shipped scratch image, as <c>proxy</c> on a network of containers.</summary>
internal sealed class ProxyContainer : IAsyncDisposable
{
    private const ushort ApiPort = 17081;
    private readonly IContainer _container;

    private ProxyContainer(IContainer container) => _container = container;

    /// <summary>What the other containers put into HTTPS_PROXY.</summary>
    public static string Address => "http://proxy:17080";

    public Uri Api => new($"http://127.0.0.1:{_container.GetMappedPublicPort(ApiPort)}");

    public static async Task<ProxyContainer> StartAsync(INetwork network, TestAuthority upstreamAuthority)
    {
        const string config = """
            proxy:
              listen: ["0.0.0.0"]
            api:
              listen: ["0.0.0.0"]
            tls:
              cert_dir: /data/certs
              extra_ca: [/etc/upstream-ca.crt]
            cache:
              enabled: true
              dir: /data/cache
              max_size: 2GB
            """;
        var container = Engine.Container("discobot:scratch")
            .WithCommand("proxy", "-config", "/etc/discobot.yaml")
            .WithNetwork(network).WithNetworkAliases("proxy")
            .WithPortBinding(ApiPort, true)
            .WithResourceMapping(Encoding.ASCII.GetBytes(config), "/etc/discobot.yaml")
            .WithResourceMapping(Encoding.ASCII.GetBytes(upstreamAuthority.RootPem), "/etc/upstream-ca.crt")
            .WithWaitStrategy(Wait.ForUnixContainer().UntilHttpRequestIsSucceeded(request => request.ForPort(ApiPort).ForPath("/health")))
            .Build();
        await container.StartAsync();
        return new ProxyContainer(container);
    }

    /// <summary>The authority the proxy made for itself.</summary>
    public Task<byte[]> ReadAuthorityAsync() => _container.ReadFileAsync("/data/certs/ca.crt");

    public Task<CacheStats> StatsAsync() => CacheStats.ReadAsync(Api);

    public async Task ClearCacheAsync()
    {
        using var client = new HttpClient();
        using var answer = await client.DeleteAsync(new Uri(Api, "/api/cache"));
        answer.EnsureSuccessStatusCode();
    }

    /// <summary>Stops and starts the proxy; its data stay.</summary>
    public async Task RestartAsync()
    {
        await _container.StopAsync();
        await _container.StartAsync();
    }

    public async Task<string> LogAsync()
    {
        var (output, errors) = await _container.GetLogsAsync();
        return output + errors;
    }

    public ValueTask DisposeAsync() => _container.DisposeAsync();
}
