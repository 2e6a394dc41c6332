using System.Text;
using DotNet.Testcontainers.Builders;
using DotNet.Testcontainers.Containers;
using DotNet.Testcontainers.Networks;

namespace Discobot.Integration.Fixtures;

/// <summary>The shipped scratch image, as <c>proxy</c> on a network of containers.</summary>
internal sealed class ProxyContainer : IAsyncDisposable
{
    private const ushort ApiPort = 17081;
    private const string ScratchTls = "extra_ca: [/etc/upstream-ca.crt]";
    private readonly IContainer _container;

    private ProxyContainer(IContainer container) => _container = container;

    /// <summary>What the other containers put into HTTPS_PROXY.</summary>
    public static string Address => "http://proxy:17080";

    public Uri Api => new($"http://127.0.0.1:{_container.GetMappedPublicPort(ApiPort)}");

    /// <summary>The image FROM scratch: nothing in it but the executable, and <c>tls.extra_ca</c> for the servers of the test.</summary>
    public static Task<ProxyContainer> StartAsync(INetwork network, TestAuthority upstream) =>
        StartAsync(Configured("discobot:scratch", network, "proxy", upstream, ScratchTls)
            .WithCommand("proxy", "-config", "/etc/discobot.yaml"));

    /// <summary>The image FROM scratch, with a disk for the cache that is soon full.</summary>
    /// <param name="alias">The name on the network.</param>
    /// <param name="cacheDisk">Bytes of that disk.</param>
    public static Task<ProxyContainer> StartAsync(INetwork network, TestAuthority upstream, string alias, int cacheDisk) =>
        StartAsync(Configured("discobot:scratch", network, alias, upstream, ScratchTls)
            .WithCommand("proxy", "-config", "/etc/discobot.yaml")
            .WithCreateParameterModifier(parameters =>
                parameters.HostConfig!.Tmpfs = new Dictionary<string, string> { ["/data/cache"] = $"size={cacheDisk}" }));

    /// <summary>The image FROM scratch, with sections of the test's own.</summary>
    /// <param name="alias">The name on the network.</param>
    /// <param name="sections">YAML beside <c>proxy</c>, <c>api</c>, <c>tls</c> and <c>cache</c>; <see cref="ConfigureAsync"/> changes it.</param>
    public static Task<ProxyContainer> StartWithAsync(INetwork network, TestAuthority upstream, string alias, string sections) =>
        StartAsync(Configured("discobot:scratch", network, alias, upstream, ScratchTls, sections).WithCommand("proxy", "-config", "/etc/discobot.yaml"));

    /// <summary>The image of a distribution, whose own trust store alone makes the servers of the test trusted.</summary>
    /// <param name="distro">Its name is the name on the network.</param>
    /// <param name="trust">The shell command that puts /etc/upstream-ca.crt into the store.</param>
    public static Task<ProxyContainer> StartAsync(INetwork network, TestAuthority upstream, Distro distro, string trust) =>
        StartAsync(Configured(distro.Image, network, distro.Name, upstream, "")
            .WithEntrypoint("/bin/sh", "-c", $"{trust} && exec /opt/discobot/bin/proxy -config /etc/discobot.yaml"));

    /// <summary>The authority the proxy made for itself.</summary>
    public Task<byte[]> ReadAuthorityAsync() => _container.ReadFileAsync("/data/certs/ca.crt");

    /// <summary>Runs the executable beside the daemon.</summary>
    public Task<string> RunAsync(params string[] arguments) => _container.RunAsync(["/discobot", .. arguments]);

    /// <summary>Writes another configuration and waits until the proxy has taken it, as it does by itself.</summary>
    public async Task ConfigureAsync(string sections)
    {
        var before = Reloads(await LogAsync());
        await _container.CopyAsync(Encoding.UTF8.GetBytes(Config(ScratchTls, sections)), "/etc/discobot.yaml");
        for (var looks = 0; Reloads(await LogAsync()) == before; looks++)
        {
            Assert.True(looks < 100, await LogAsync());
            await Task.Delay(100);
        }
    }

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

    private static int Reloads(string log) => log.Split("configuration reloaded").Length;

    private static string Config(string moreOfTlsSection, string sections) => $"""
        proxy:
          listen: ["0.0.0.0"]
        api:
          listen: ["0.0.0.0"]
          token_file: /data/api.token
        tls:
          cert_dir: /data/certs
          {moreOfTlsSection}
        cache:
          enabled: true
          dir: /data/cache
          max_size: 2GB
        {sections}
        """;

    private static ContainerBuilder Configured(
        string image, INetwork network, string alias, TestAuthority upstream, string moreOfTlsSection, string sections = "")
    {
        var config = Config(moreOfTlsSection, sections);
        return Engine.Container(image)
            .WithNetwork(network).WithNetworkAliases(alias)
            .WithPortBinding(ApiPort, true)
            .WithResourceMapping(Encoding.ASCII.GetBytes(config), "/etc/discobot.yaml")
            .WithResourceMapping(Encoding.ASCII.GetBytes(upstream.RootPem), "/etc/upstream-ca.crt")
            .WithWaitStrategy(Wait.ForUnixContainer().UntilHttpRequestIsSucceeded(request => request.ForPort(ApiPort).ForPath("/health")));
    }

    private static async Task<ProxyContainer> StartAsync(ContainerBuilder builder)
    {
        var container = builder.Build();
        await container.StartAsync();
        return new ProxyContainer(container);
    }
}
