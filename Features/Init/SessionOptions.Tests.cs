namespace Discobot.Features.Init;

public sealed class SessionOptionsTests
{
    [Theory]
    [InlineData("..")]
    [InlineData("a/b")]
    [InlineData("a,upperdir=/etc")]
    [InlineData("a:b")]
    [InlineData("a\n")]
    [InlineData("")]
    public void A_session_id_that_could_reach_outside_its_directory_is_refused(string id)
        => Assert.Contains("SESSION_ID", Assert.Single(Errors(("SESSION_ID", id))), StringComparison.Ordinal);

    [Theory]
    [InlineData("WORKSPACE_PATH", "--upload-pack=evil")]
    [InlineData("WORKSPACE_PATH", "/a\nb")]
    [InlineData("WORKSPACE_PATH", "relative")]
    [InlineData("WORKSPACE_PATH", "relative/a:b")]
    [InlineData("WORKSPACE_PATH", "fd::17")]
    [InlineData("WORKSPACE_PATH", "FD://17")]
    [InlineData("WORKSPACE_PATH", "ext::id")]
    [InlineData("DISCOBOT_STOP_SIGNAL", "XCPU")]
    [InlineData("DISCOBOT_STOP_SIGNAL", "PIPE")]
    [InlineData("DISCOBOT_STOP_SIGNAL", "RTMIN")]
    [InlineData("SESSION_ID", "a/b")]
    [InlineData("WORKSPACE_COMMIT", "--orphan")]
    [InlineData("AGENT_BINARY", "relative/path")]
    [InlineData("AGENT_USER", "-root")]
    [InlineData("DISCOBOT_STOP_BUDGET", "soon")]
    [InlineData("DISCOBOT_STOP_BUDGET", "0")]
    public void A_value_that_breaks_its_rule_is_named_with_the_rule(string name, string value)
        => Assert.StartsWith(name + " must", Assert.Single(Errors(name == "SESSION_ID" ? [(name, value)] : [("SESSION_ID", "s1"), (name, value)])), StringComparison.Ordinal);

    [Theory]
    [InlineData("", "SESSION_ID is required, as in -e SESSION_ID=NAME: ")]
    [InlineData("a/b", "SESSION_ID must be another, as in -e SESSION_ID=NAME: ")]
    public void A_session_id_is_missing_or_wrong_and_how_it_is_given_is_told(string id, string told)
        => Assert.StartsWith(told, Assert.Single(Errors(("SESSION_ID", id))), StringComparison.Ordinal);

    [Fact]
    public void Every_error_is_told_at_once()
        => Assert.Equal(3, Errors(("SESSION_ID", "/"), ("WORKSPACE_COMMIT", "-x"), ("AGENT_BINARY", "x")).Count);

    [Theory]
    [InlineData("https://example.com/a/b.git")]
    [InlineData("git@example.com:a/b.git")]
    [InlineData("/.workspace")]
    [InlineData("/with space")]
    public void Git_urls_and_absolute_paths_are_workspaces(string path)
        => Assert.Empty(Errors(("SESSION_ID", "s1"), ("WORKSPACE_PATH", path)));

    [Theory]
    [InlineData("OverlayFS", "Overlay")]
    [InlineData("AGENTFS", "AgentFs")]
    [InlineData("zfs", "Auto")]
    public void The_file_system_is_read_without_regard_to_case_and_unknown_ones_are_ignored(string value, string expected)
        => Assert.Equal(expected, Read(("SESSION_ID", "s1"), ("DISCOBOT_FILESYSTEM", value))!.Filesystem.ToString());

    [Theory]
    [InlineData("DISCOBOT_FILESYSTEM", "zfs", "DISCOBOT_FILESYSTEM must be overlayfs, agentfs or plain: 'zfs' is ignored")]
    [InlineData("CACHE_ENABLED", "False\u001b[2J", "CACHE_ENABLED must be true or false: 'False?[2J' counts as true")]
    public void A_value_that_means_nothing_is_told_with_the_rule(string name, string value, string told)
        => Assert.Equal([told], Read(("SESSION_ID", "s1"), (name, value))!.Ignored);

    [Theory]
    [InlineData("false", false)]
    [InlineData("False", true)]
    [InlineData("0", true)]
    public void Only_the_exact_word_false_turns_the_cache_off(string value, bool enabled)
        => Assert.Equal(enabled, Read(("SESSION_ID", "s1"), ("CACHE_ENABLED", value))!.CacheEnabled);

    private static SessionOptions? Read(params (string Name, string Value)[] variables)
        => SessionOptions.Read(variables.ToDictionary(v => v.Name, v => v.Value), []);

    private static List<string> Errors(params (string Name, string Value)[] variables)
    {
        var errors = new List<string>();
        Assert.Equal(errors.Count == 0, SessionOptions.Read(variables.ToDictionary(v => v.Name, v => v.Value), errors) is null == errors.Count > 0);
        return errors;
    }
}
