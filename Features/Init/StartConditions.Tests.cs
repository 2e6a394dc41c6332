using Discobot.Tests.Fixtures;

namespace Discobot.Features.Init;

/// <summary>Containers that are run in a way that cannot work, in the whole init in namespaces.</summary>
public sealed class StartConditionsTests : IDisposable
{
    private readonly Enclosure _inside = new();

    public void Dispose() => _inside.Dispose();

    [Theory]
    [InlineData("the init must start as root, not as user 1000: ", "setpriv --reuid 1000 --regid 1000 --clear-groups", "")]
    [InlineData("capabilities are missing that every container of Docker's has: add --cap-add CHOWN --cap-add SETUID", "setpriv --bounding-set=-chown,-setuid --inh-caps=-chown,-setuid", "")]
    [InlineData("/workspace is a mount, where the workspace of the session is to be: mount your repository at /.workspace ", "", "mount --bind tmp workspace")]
    [InlineData("/workspace is a directory with something in it", "", "mkdir -p workspace/src")]
    [InlineData("/home is a link to var/home: ", "", "mkdir -p var && mv home var/home && ln -s var/home home")]
    [InlineData("/home/discobot is a mount (", "", "mount --bind tmp home/discobot")]
    [InlineData("the root is read-only and has no /workspace: ", "", "rmdir workspace; mount --rbind . .; cd \"$PWD\"; mount -o remount,bind,ro .")]
    public async Task The_first_line_says_what_to_do_before_anything_is_done(string rule, string under, string before)
    {
        _inside.Under = under.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        _inside.Before = before;
        Assert.Equal(1, await _inside.RunAsync());
        Assert.StartsWith("discobot-agent: error: " + rule, _inside.Output, StringComparison.Ordinal);
        Assert.DoesNotContain("completed", _inside.Output, StringComparison.Ordinal);
        Assert.Empty(Directory.GetFileSystemEntries(_inside.At("/.data")));
    }

    /// <summary>A promise that cannot be read would not be kept, so nothing starts that relies on it.</summary>
    [Theory]
    [InlineData("egress: {mode: enforce, mdoe: x}", "", @"policy\.yaml:1:\d+: egress\.mdoe")]
    [InlineData("egress: {mode: enforced}", "", @"policy\.yaml:1:\d+: egress\.mode: ")]
    [InlineData("allowlist: {enabled: maybe}", "", @"policy\.yaml:1:\d+: allowlist\.enabled: ")]
    [InlineData("egress: [", "", @"policy\.yaml:\d+")]
    [InlineData("egress: {mode: enforce}", "DISCOBOT_EGRESS=enforced", "environment: DISCOBOT_EGRESS: ")]
    [InlineData("", "DISCOBOT_EGRESS=enforced", "environment: DISCOBOT_EGRESS: ")]
    [InlineData("", "PROXY_PORT=99999", "environment: PROXY_PORT: ")]
    [InlineData("", "LOG_LEVEL=loud", "environment: LOG_LEVEL: ")]
    public async Task What_the_operator_wrote_and_nobody_can_read_ends_the_start(string policy, string variable, string place)
    {
        if (policy.Length > 0)
            _inside.Prepare($"mkdir -p $1/etc/discobot; echo '{policy}' > $1/etc/discobot/policy.yaml");
        if (variable.Split('=') is [var name, var value])
            _inside.Environment[name] = value;
        Assert.Equal(1, await _inside.RunAsync());
        Assert.StartsWith("discobot-agent: error: ", _inside.Output, StringComparison.Ordinal);
        Assert.Matches(place, _inside.Output);
        Assert.DoesNotContain("completed", _inside.Output, StringComparison.Ordinal);
        Assert.DoesNotContain("agent-api started", _inside.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task All_rules_that_are_broken_are_told_together()
    {
        _inside.Environment["SESSION_ID"] = "";
        _inside.Environment["DISCOBOT_STOP_SIGNAL"] = "KILL";
        _inside.Under = ["setpriv", "--bounding-set=-chown", "--inh-caps=-chown"];
        _inside.Before = "mkdir -p workspace/src";
        Assert.Equal(1, await _inside.RunAsync());
        foreach (var rule in new[] { "SESSION_ID is required", "DISCOBOT_STOP_SIGNAL must be", "capabilities are missing", "/workspace is a directory with something in it" })
            Assert.Contains("error: " + rule, _inside.Output, StringComparison.Ordinal);
    }
}
