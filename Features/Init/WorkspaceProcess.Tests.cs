using Discobot.Tests.Fixtures;

namespace Discobot.Features.Init;

/// <summary>Workspaces that hold more than a project, in the whole init in namespaces.</summary>
public sealed class WorkspaceProcessTests : IDisposable
{
    private readonly Enclosure _inside = new();

    public void Dispose() => _inside.Dispose();

    /// <summary>As by <c>-v $PWD:/.workspace:ro -v $PWD/data:/.data</c>.</summary>
    [Fact]
    public async Task A_project_that_holds_the_volume_is_copied_without_it_and_without_what_the_kernel_shows_there()
    {
        _inside.Environment["WORKSPACE_PATH"] = "/project";
        _inside.Prepare("mkdir -p $1/project/data $1/project/deep/proc $1/project/empty; echo content > $1/project/deep/file");
        _inside.Before = "mount --bind .data project/data; mount -t proc proc project/deep/proc";
        _inside.Agent("cd ~/workspace; cat deep/file; ls -A . deep | sort | tr '\\n' ' '; exit 0");
        Assert.True(await _inside.RunAsync() == 0, _inside.Output);
        Assert.Contains("\ncontent\n", _inside.Said, StringComparison.Ordinal);
        Assert.Contains(" deep deep: empty file", _inside.Said, StringComparison.Ordinal);
    }

    /// <summary>Under a policy, which needs its proxy: an agent could block its own next start.</summary>
    [Theory]
    [InlineData("egress: {port: 22}", "egress.port: 22 is a port that only root may listen at")]
    [InlineData("proxy: {port: 80}", "proxy.port: 80 is a port that only root may listen at")]
    [InlineData("egress: {dns_port: 17081}", "egress.dns_port: 17081 is that of proxy.api_port as well")]
    [InlineData("logging: {file: /.data/proxy/cache/x/y/z.log}", "logging.file: /.data/proxy/cache/x/y does not exist")]
    public async Task A_configuration_with_which_the_proxy_could_not_start_is_not_used(string text, string reason)
    {
        _inside.Prepare($"mkdir -p $1/etc/discobot $2/discobot/workspace/.discobot/proxy; echo 'allowlist: {{enabled: true, domains: [first.example]}}' > $1/etc/discobot/policy.yaml; "
            + $"echo '{text}' > $2/discobot/workspace/.discobot/proxy/config.yaml; chown -R 1000:1000 $2/discobot/workspace");
        Assert.True(await _inside.RunAsync() == 0, _inside.Output);
        Assert.Contains(reason, _inside.Output, StringComparison.Ordinal);
        Assert.Contains("HTTP proxy ready on port 17080", _inside.Output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("/")]
    [InlineData("/.data")]
    [InlineData("/.data/proxy")]
    [InlineData("/.data/proxy/certs/..")]
    [InlineData("/link")]
    public async Task What_is_no_project_is_refused_with_what_it_is(string path)
    {
        _inside.Environment["WORKSPACE_PATH"] = path;
        _inside.Prepare("ln -s .data/proxy/certs $1/link");
        Assert.Equal(1, await _inside.RunAsync());
        Assert.Contains($"workspace failed: WORKSPACE_PATH {path} is the {(path == "/" ? "container's whole root" : "volume of /.data")}", _inside.Output, StringComparison.Ordinal);
    }
}
