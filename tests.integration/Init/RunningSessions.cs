using System.Collections.Concurrent;
using Discobot.Integration.Fixtures;
using DotNet.Testcontainers.Containers;
using DotNet.Testcontainers.Networks;

namespace Discobot.Integration.Init;

/// <summary>A network with a real https server outside, <c>registry.test</c>, and in it one session for each distribution, with
/// everything up that its image has. Tests look at it and leave it as it is.</summary>
public sealed class RunningSessions : IAsyncLifetime
{
    private readonly ConcurrentDictionary<string, Lazy<Task<SessionContainer>>> _sessions = [];
    private readonly TestAuthority _authority = new();
    private readonly Lazy<Task<IContainer>> _packages;
    private INetwork? _network;
    private Registry? _registry;

    public RunningSessions() => _packages = new(() => PackageServer.StartAsync(Network, _authority));

    internal Registry Registry => _registry!;

    internal INetwork Network => _network!;

    /// <summary>Git repositories at <c>https://packages.test/repo.git</c> and <c>/private.git</c>, when they are served.</summary>
    internal Task<IContainer> PackagesAsync() => _packages.Value;

    /// <summary>The session of a distribution, when it is up.</summary>
    internal Task<SessionContainer> OfAsync(Distro distro) => _sessions.GetOrAdd(distro.Image, _ => new(() => StartAsync(distro))).Value;

    /// <summary>A session in the network that is not started yet, for tests that change it.</summary>
    /// <param name="distro">Whose image.</param>
    /// <param name="clients">The image with more clients in it.</param>
    /// <param name="docker">With the image's dockerd.</param>
    /// <param name="data">What is at /.data.</param>
    internal SessionContainer New(Distro distro, bool clients, bool docker = true, DataVolume? data = null)
    {
        var container = new SessionContainer(clients ? distro.ImageWithClients : distro.Image) { Network = Network, Docker = docker, Data = data };
        container.Put("/upstream.crt", _authority.RootPem);
        container.Prepare(distro.Trust("/upstream.crt"));
        container.Environment["NO_PROXY"] = "corp.example";
        return container;
    }

    public async Task InitializeAsync()
    {
        _network = await Engine.CreateNetworkAsync();
        _registry = await Registry.StartAsync(_network, _authority);
    }

    public async Task DisposeAsync()
    {
        foreach (var session in _sessions.Values)
            await (await session.Value).DisposeAsync();
        if (_packages.IsValueCreated)
            await (await _packages.Value).DisposeAsync();
        if (_registry is not null)
            await _registry.DisposeAsync();
        if (_network is not null)
            await _network.DeleteAsync();
    }

    private async Task<SessionContainer> StartAsync(Distro distro)
    {
        var container = New(distro, clients: true);
        container.Agent("env > /tmp/agent.env; exec sleep 100000");
        await container.StartAsync();
        await container.SeeAsync("startup completed");
        return container;
    }
}

[CollectionDefinition("sessions")]
[System.Diagnostics.CodeAnalysis.SuppressMessage("Naming", "CA1711", Justification = "That is what xunit calls it.")]
public sealed class SessionsCollection : ICollectionFixture<RunningSessions>;

/// <summary>Those that start sessions of their own in such a network, beside the others.</summary>
[CollectionDefinition("own sessions")]
[System.Diagnostics.CodeAnalysis.SuppressMessage("Naming", "CA1711", Justification = "That is what xunit calls it.")]
public sealed class OwnSessionsCollection : ICollectionFixture<RunningSessions>;
