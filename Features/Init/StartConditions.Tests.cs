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
    public async Task The_first_line_says_what_to_do_before_anything_is_done(string rule, string under, string before)
    {
        _inside.Under = ["sh", "-c", "exec \"$@\" 2>&1", "sh", .. under.Split(' ', StringSplitOptions.RemoveEmptyEntries)];
        _inside.Before = before;
        Assert.Equal(1, await _inside.RunAsync());
        Assert.StartsWith("discobot-agent: error: " + rule, _inside.Output, StringComparison.Ordinal);
        Assert.DoesNotContain("completed", _inside.Output, StringComparison.Ordinal);
        Assert.Empty(Directory.GetFileSystemEntries(_inside.At("/.data")));
    }

    [Fact]
    public async Task All_rules_that_are_broken_are_told_together()
    {
        _inside.Variables["SESSION_ID"] = "";
        _inside.Variables["DISCOBOT_STOP_SIGNAL"] = "KILL";
        _inside.Under = ["setpriv", "--bounding-set=-chown", "--inh-caps=-chown"];
        _inside.Before = "mkdir -p workspace/src";
        Assert.Equal(1, await _inside.RunAsync());
        foreach (var rule in new[] { "SESSION_ID is required", "DISCOBOT_STOP_SIGNAL must be", "capabilities are missing", "/workspace is a directory with something in it" })
            Assert.Contains("error: " + rule, _inside.Output, StringComparison.Ordinal);
    }
}
