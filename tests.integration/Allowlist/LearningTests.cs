using Discobot.Integration.Fixtures;
using DotNet.Testcontainers.Containers;

namespace Discobot.Integration.Allowlist;

/// <summary>npm and git work once while the proxy learns; under the policy that it exports they work again, and nothing else does.</summary>
[Collection("network")]
public sealed class LearningTests(NetworkFixture fixture) : IAsyncLifetime
{
    private const string Install = "npm install --no-audit --no-fund --no-update-notifier --prefer-online left";
    private IContainer? _server;
    private IContainer? _client;
    private ProxyContainer? _proxy;

    public async Task InitializeAsync()
    {
        _server = await PackageServer.StartAsync(fixture.Network, fixture.Authority);
        _proxy = await ProxyContainer.StartWithAsync(fixture.Network, fixture.Authority, "learning", "allowlist: {mode: learn}");
        _client = await PackageServer.StartClientAsync(fixture.Network, "learning", await _proxy.ReadAuthorityAsync());
    }

    public async Task DisposeAsync()
    {
        foreach (var each in new IAsyncDisposable?[] { _client, _proxy, _server })
        {
            if (each is not null)
                await each.DisposeAsync();
        }
    }

    [Fact]
    public async Task Npm_and_git_pass_again_under_the_learned_policy_and_nothing_else_does()
    {
        await WorkAsync("first");
        var policy = await _proxy!.RunAsync("allowlist", "export");
        Assert.Contains("{host: \"packages.test\", methods: [GET], paths: [", policy, StringComparison.Ordinal);
        Assert.Contains("{host: \"packages.test\", methods: [POST], paths: [\"/repo.git/git-upload-pack\"]}", policy, StringComparison.Ordinal);

        await _proxy.ConfigureAsync(policy);
        await WorkAsync("second");

        Assert.Equal("403", await StatusAsync("https://packages.test/npm/unseen"));
        Assert.Equal("403", await StatusAsync("https://packages.test/npm/left", "-X", "PUT", "-d", "{}"));
        Assert.Equal("403", await StatusAsync("https://packages.test/repo.git/git-receive-pack", "-d", ""));
        Assert.Equal("403", await StatusAsync("https://elsewhere.test/npm/left", "-k"));
        Assert.Equal("403", await StatusAsync("http://packages.test/npm/unseen"));
        var refused = await _client!.ExecAsync(["sh", "-c", "mkdir -p /third && cd /third && npm install --no-audit unseen"]);
        Assert.NotEqual(0, refused.ExitCode);
        Assert.Contains("403", refused.Stderr, StringComparison.Ordinal);
    }

    // Nothing of an earlier time is left to npm, so that all is asked for again.
    private async Task WorkAsync(string folder)
    {
        Assert.Equal("installed\n", await ShellAsync($"mkdir /{folder} && cd /{folder} && export npm_config_cache=/{folder}/.npm && {Install} >/dev/null && "
            + "test -f node_modules/@types/right/index.js && node -p 'require(\"left\")'"));
        Assert.Equal("cloned", await ShellAsync($"git clone -q https://packages.test/repo.git /{folder}/repo && cat /{folder}/repo/file"));
    }

    private Task<string> StatusAsync(string url, params string[] options) =>
        _client!.RunAsync(["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", .. options, url]);

    private Task<string> ShellAsync(string command) => _client!.RunAsync("sh", "-c", command);
}
