using System.Globalization;
using System.Text;
using DotNet.Testcontainers.Builders;
using DotNet.Testcontainers.Containers;
using DotNet.Testcontainers.Networks;

namespace Discobot.Integration.Fixtures;

/// <summary>One line of the registry's own access log.</summary>
internal sealed record RegistryRequest(string Host, string Method, string Path, int Status, long Bytes, bool Authorized, string Range)
{
    public bool IsBlob => Method == "GET" && (Path.Contains("/blobs/", StringComparison.Ordinal) || Host == "cdn.test");
}

/// <summary>What the registry and the CDN beside it can be told to do.</summary>
internal enum RegistrySwitch
{
    /// <summary>Blob requests are sent on to cdn.test with a signed-looking URL (307).</summary>
    Redirect,

    /// <summary>Everything wants a bearer token from /token (distribution's token authentication).</summary>
    Auth,

    /// <summary>Blobs come at 512 KiB/s a connection.</summary>
    Slow,
}

/// <summary>docker-registry behind nginx as <c>registry.test</c>, and a CDN for its blobs as <c>cdn.test</c>, both with TLS by the test authority.</summary>
internal sealed class Registry : IAsyncDisposable
{
    private const ushort PushPort = 5000;
    private readonly IContainer _container;

    private Registry(IContainer container) => _container = container;

    public static async Task<Registry> StartAsync(INetwork network, TestAuthority authority)
    {
        var (certificate, key) = authority.IssuePem("registry.test", "cdn.test");
        var container = Engine.Container(Engine.Tools)
            .WithEntrypoint("/tools/registry.sh")
            .WithNetwork(network).WithNetworkAliases("registry.test", "cdn.test")
            .WithPortBinding(PushPort, true)
            .WithResourceMapping(Encoding.ASCII.GetBytes(certificate), "/tls/server.crt")
            .WithResourceMapping(Encoding.ASCII.GetBytes(key), "/tls/server.key")
            .WithWaitStrategy(Wait.ForUnixContainer().UntilCommandIsCompleted("curl", "-sfk", "https://localhost/v2/", "-H", "Host: registry.test"))
            .Build();
        await container.StartAsync();
        return new Registry(container);
    }

    /// <summary>Makes an image of random layers and pushes it, past nginx and its log.</summary>
    public async Task<TestImage> PushAsync(params int[] layerSizes)
    {
        var image = new TestImage($"team/app-{Guid.NewGuid():N}", layerSizes);
        using var client = new HttpClient { BaseAddress = new Uri($"http://127.0.0.1:{_container.GetMappedPublicPort(PushPort)}") };
        await image.PushAsync(client);
        return image;
    }

    /// <summary>Turns a switch on until the returned value is disposed.</summary>
    public async Task<IAsyncDisposable> SwitchOnAsync(RegistrySwitch which)
    {
        var file = $"/switches/{which.ToString().ToLowerInvariant()}";
        await _container.RunAsync("touch", file);
        return new Undo(() => _container.RunAsync("rm", "-f", file));
    }

    /// <summary>Takes the registry and the CDN off the network until the returned value is disposed.</summary>
    public async Task<IAsyncDisposable> StopAsync()
    {
        await _container.StopAsync();
        return new Undo(() => _container.StartAsync());
    }

    /// <summary>The access log so far; a request is in it once it was answered in full.</summary>
    public async Task<IReadOnlyList<RegistryRequest>> RequestsAsync() =>
        [.. (await _container.RunAsync("cat", "/switches/access.log"))
            .Split('\n', StringSplitOptions.RemoveEmptyEntries)
            .Select(line => line.Split('\t'))
            .Select(part => new RegistryRequest(part[0], part[1], part[2], Number(part[3]), Number(part[4]), part[5] == "1", part[6]))];

    /// <summary>What a repository has, as its storage says: each blob, manifest and tag with the digest that it names, in order.</summary>
    public async Task<IReadOnlyList<string>> ContentsAsync(string repository) =>
        [.. (await _container.RunAsync("bash", "-c",
                $"cd /data/docker/registry/v2/repositories/{repository} && find . -name link | while read -r name; do echo \"${{name#./}} $(cat \"$name\")\"; done"))
            .Split('\n', StringSplitOptions.RemoveEmptyEntries).Order(StringComparer.Ordinal)];

    public ValueTask DisposeAsync() => _container.DisposeAsync();

    private static int Number(string text) => int.Parse(text, CultureInfo.InvariantCulture);

    private sealed class Undo(Func<Task> action) : IAsyncDisposable
    {
        public async ValueTask DisposeAsync() => await action();
    }
}
