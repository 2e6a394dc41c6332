using DotNet.Testcontainers.Networks;

namespace Discobot.Integration.Fixtures;

/// <summary>A network with a registry, the shipped proxy image, and two Docker engines that know nothing else.</summary>
public sealed class NetworkFixture : IAsyncLifetime
{
    private INetwork? _network;
    private Registry? _registry;
    private ProxyContainer? _proxy;
    private DockerEngine? _first;
    private DockerEngine? _second;

    /// <summary>Signs whoever the proxy shall trust.</summary>
    internal TestAuthority Authority { get; } = new();

    /// <summary>For tests that bring a server of their own.</summary>
    internal INetwork Network => _network!;

    internal Registry Registry => _registry!;

    internal ProxyContainer Proxy => _proxy!;

    internal DockerEngine First => _first!;

    internal DockerEngine Second => _second!;

    public async Task InitializeAsync()
    {
        _network = await Engine.CreateNetworkAsync();
        var registry = Registry.StartAsync(_network, Authority);
        _proxy = await ProxyContainer.StartAsync(_network, Authority);
        var trusted = await _proxy.ReadAuthorityAsync();
        var engines = await Task.WhenAll(DockerEngine.StartAsync(_network, trusted), DockerEngine.StartAsync(_network, trusted));
        (_first, _second) = (engines[0], engines[1]);
        _registry = await registry;
    }

    public async Task DisposeAsync()
    {
        foreach (var each in new IAsyncDisposable?[] { _first, _second, _proxy, _registry })
        {
            if (each is not null)
                await each.DisposeAsync();
        }

        if (_network is not null)
            await _network.DeleteAsync();
    }
}

[CollectionDefinition("network")]
[System.Diagnostics.CodeAnalysis.SuppressMessage("Naming", "CA1711", Justification = "That is what xunit calls it.")]
public sealed class NetworkCollection : ICollectionFixture<NetworkFixture>;
