using Discobot.Integration.Fixtures;

namespace Discobot.Integration.Wire;

/// <summary>One proxy process for the tests of a class, and an authority for the servers behind it.</summary>
public sealed class WireFixture : IAsyncLifetime
{
    private ProxyProcess? _proxy;

    internal TestAuthority Authority { get; } = new();

    internal ProxyProcess Proxy => _proxy!;

    internal Task<Origin> OriginAsync(Microsoft.AspNetCore.Http.RequestDelegate answer) =>
        Origin.StartAsync(Authority.Issue(["localhost", "127.0.0.1"]), answer);

    public async Task InitializeAsync() => _proxy = await ProxyProcess.StartAsync(Authority, "  upstream_timeout: 2s");

    public async Task DisposeAsync() => await Proxy.DisposeAsync();
}
