using Discobot.Integration.Fixtures;
using DotNet.Testcontainers.Containers;

namespace Discobot.Integration.Caching;

/// <summary>npm and pip, each time as on a new machine: the second installation brings no body, the third one needs no registry.</summary>
[Collection("network")]
public sealed class PackageTests(NetworkFixture fixture) : IAsyncLifetime
{
    private IContainer? _server;
    private IContainer? _client;
    private ProxyContainer? _proxy;

    public async Task InitializeAsync()
    {
        _server = await PackageServer.StartAsync(fixture.Network, fixture.Authority);
        _proxy = await ProxyContainer.StartWithAsync(fixture.Network, fixture.Authority, "packages-proxy", "logging: {level: info}");
        _client = await PackageServer.StartClientAsync(fixture.Network, "packages-proxy", await _proxy.ReadAuthorityAsync());
    }

    public async Task DisposeAsync()
    {
        foreach (var each in new IAsyncDisposable?[] { _client, _proxy, _server })
        {
            if (each is not null)
                await each.DisposeAsync();
        }
    }

    [Theory]
    [InlineData("npm", 4)]
    [InlineData("pip", 4)]
    public async Task The_second_installation_brings_no_body_and_the_third_needs_no_registry(string client, int answers)
    {
        await InstallAsync(client, "first");
        Assert.Equal(answers, (await AskedAsync()).Count(line => line.StartsWith("200 ", StringComparison.Ordinal)));

        await InstallAsync(client, "second");
        var asked = await AskedAsync();
        Assert.Equal(answers, asked.Count(line => line.StartsWith("200 ", StringComparison.Ordinal)));
        // The indexes are confirmed, the packages' files are not even asked for.
        Assert.Equal(answers / 2, asked.Count(line => line.StartsWith("304 ", StringComparison.Ordinal)));

        await _server!.StopAsync();
        await _proxy!.RestartAsync();
        await InstallAsync(client, "third");
        Assert.Contains("cache answers with what was stored", await _proxy.LogAsync(), StringComparison.Ordinal);
    }

    // Nothing of an earlier time is left to the client, so that all is asked for again.
    private async Task InstallAsync(string client, string folder) => Assert.Equal("installed\n", await _client!.RunAsync("sh", "-c", client == "npm"
        ? $"mkdir /{folder} && cd /{folder} && npm install --cache /{folder}/.npm --no-audit --no-fund --no-update-notifier left >/dev/null && "
            + "test -f node_modules/@types/right/index.js && node -p 'require(\"left\")'"
        : $"pip install -q --no-cache-dir --disable-pip-version-check --root-user-action=ignore --target /{folder} upper && cd /{folder} && "
            + "python3 -c 'import lower, upper; print(upper.what)'"));

    private async Task<string[]> AskedAsync() => [.. (await _server!.GetLogsAsync(timestampsEnabled: false)).Stdout.Split('\n').Where(line => line.Length > 4)];
}
