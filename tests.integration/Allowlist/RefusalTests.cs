using Discobot.Integration.Fixtures;
using DotNet.Testcontainers.Containers;

namespace Discobot.Integration.Allowlist;

/// <summary>What is not allowed says so in the words of the real clients.</summary>
[Collection("network")]
public sealed class RefusalTests(NetworkFixture fixture) : IAsyncLifetime
{
    private const string Reason = "is not in allowlist.domains";
    private IContainer? _client;
    private ProxyContainer? _proxy;

    public async Task InitializeAsync()
    {
        _proxy = await ProxyContainer.StartWithAsync(fixture.Network, fixture.Authority, "refusing", "allowlist: {enabled: true, domains: [only.test]}");
        _client = await PackageServer.StartClientAsync(fixture.Network, "refusing", await _proxy.ReadAuthorityAsync());
    }

    public async Task DisposeAsync()
    {
        foreach (var each in new IAsyncDisposable?[] { _client, _proxy })
        {
            if (each is not null)
                await each.DisposeAsync();
        }
    }

    [Theory]
    [InlineData("npm install --no-audit --fetch-retries 0 --registry http://packages.test/npm/ left")]
    // Of an index that it may not read pip itself says nothing; of a file it does.
    [InlineData("pip download --no-cache-dir --retries 0 http://packages.test/packages/aa/upper-1.0-py3-none-any.whl")]
    [InlineData("git ls-remote http://packages.test/repo.git")]
    public async Task A_client_shows_the_reason(string command)
    {
        var run = await _client!.ExecAsync(["sh", "-c", $"cd /tmp && {command}"]);
        Assert.NotEqual(0, run.ExitCode);
        Assert.Contains(Reason, run.Stdout + run.Stderr, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Docker_shows_the_reason_of_a_pull()
    {
        await using var engine = await DockerEngine.StartAsync(fixture.Network, await _proxy!.ReadAuthorityAsync(), "http://refusing:17080");
        var pull = await engine.TryAsync("docker", "pull", "registry.test/some/image:1");
        Assert.NotEqual(0, pull.ExitCode);
        Assert.Contains(Reason, pull.Stderr, StringComparison.Ordinal);
    }
}
