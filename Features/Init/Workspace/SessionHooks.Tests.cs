using System.Text.Json.Nodes;
using Discobot.Infrastructure.Native;

namespace Discobot.Features.Init.Workspace;

/// <summary>Real hooks, as the agent's user, in a directory that stands for the container's root.</summary>
public sealed class SessionHooksTests : IDisposable
{
    private readonly ContainerFixture _fixture = new();

    public SessionHooksTests() => ContainerFixture.Sh("chown nobody \"$1\"", _fixture.At("home/discobot"));

    public void Dispose() => _fixture.Dispose();

    [Fact]
    public async Task They_run_by_name_as_the_agent_and_none_can_fail_the_start()
    {
        Hook("20-second", "blocking: true", "echo second; exit 4");
        Hook("10-first", "blocking: true", "id -u; echo $HOME $USER $DISCOBOT_HOOK_TYPE $DISCOBOT_SESSION_ID $(pwd)");
        Hook("30-root", "run_as: root", "echo ran as root");
        await RunAsync();
        var first = _fixture.Output.IndexOf($"[10-first] {ContainerFixture.Agent.User}\n", StringComparison.Ordinal);
        Assert.InRange(first, 0, _fixture.Output.IndexOf("[20-second] second\n", StringComparison.Ordinal));
        Assert.Contains($"[10-first] {ContainerFixture.Agent.Home} nobody session s1 {_fixture.Container.Paths.Workspace}\n", _fixture.Output, StringComparison.Ordinal);
        Assert.Contains("warning: hook 30-root asks for root and is not run", _fixture.Output, StringComparison.Ordinal);
        Assert.DoesNotContain("ran as root", _fixture.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_they_said_and_how_they_ended_is_kept_for_the_agent_and_counted_over_starts()
    {
        Hook("h", "blocking: true", "echo said; exit 4");
        await RunAsync();
        await RunAsync();
        var directory = _fixture.At("home/discobot/.discobot/s1/hooks");
        Assert.Equal("said\n", File.ReadAllText(Path.Combine(directory, "output/h.log")));
        var entry = JsonNode.Parse(File.ReadAllText(Path.Combine(directory, "status.json")))!["hooks"]!["h"]!;
        Assert.Equal((2, 2, 4, "failure"), ((int)entry["runCount"]!, (int)entry["failCount"]!, (int)entry["lastExitCode"]!, (string)entry["lastResult"]!));
        foreach (var path in new[] { "", "output", "output/h.log", "status.json" })
            Assert.Equal(ContainerFixture.Agent.Owner, Libc.StatusOf(Path.Combine(directory, path))!.Value.Owner);
    }

    [Fact]
    public async Task What_cannot_be_run_for_want_of_its_interpreter_is_told_so_and_what_a_hook_says_looks_like_no_line_of_ours()
    {
        Hook("a", "blocking: true", "printf 'x\\rdiscobot-agent: fake\\033[2K\\033[31mred\\033[0m\\n'");
        Hook("crlf", "blocking: true", "exit 0");
        Hook("none", "blocking: true", "exit 0");
        var hooks = _fixture.At("home/discobot/workspace/.discobot/hooks");
        ContainerFixture.Sh("cd \"$1\"; sed -i 's/$/\\r/' crlf; sed -i '1s/.*/#!\\/no\\/such\\/sh -e/' none; chmod 755 crlf none", hooks);
        await RunAsync();
        Assert.DoesNotContain(_fixture.Output, c => c is '\r' or '\u001b');
        Assert.Contains("fake?[2Kred\n", _fixture.Output, StringComparison.Ordinal);
        Assert.Contains("crlf, which is there, but its first line ends in CR LF, so that its interpreter would be '/bin/sh\\r': write its lines with LF alone", _fixture.Output, StringComparison.Ordinal);
        Assert.Contains("none, which is there, but not its interpreter /no/such/sh", _fixture.Output, StringComparison.Ordinal);
        Assert.Contains("hook none ended with exit code 127", _fixture.Output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("ln -s \"$1/victim\" .discobot")]
    [InlineData("mkdir -p .discobot/s1; ln -s \"$1/victim\" .discobot/s1/hooks")]
    [InlineData("mkdir -p .discobot/s1/hooks; ln -s \"$1/victim\" .discobot/s1/hooks/output")]
    [InlineData("mkdir -p .discobot/s1/hooks/output; ln -s \"$1/victim/file\" .discobot/s1/hooks/output/h.log; ln -s \"$1/victim/file\" .discobot/s1/hooks/status.json")]
    [InlineData("mkdir -p .discobot/s1/hooks/output; ln \"$1/victim/file\" .discobot/s1/hooks/output/h.log; ln \"$1/victim/file\" .discobot/s1/hooks/status.json")]
    [InlineData("mkdir -p .discobot/s1/hooks/output; mkfifo .discobot/s1/hooks/output/h.log; mkfifo .discobot/s1/hooks/status.json")]
    public async Task Root_writes_through_nothing_that_the_agent_placed_where_the_records_are(string placed)
    {
        var victim = _fixture.Write("victim/file", "untouched");
        ContainerFixture.Sh($"cd \"$1/home/discobot\"; {placed}", _fixture.Root);
        Hook("h", "blocking: true", "echo said");
        await RunAsync().WaitAsync(TimeSpan.FromSeconds(20));
        Assert.Equal("untouched", File.ReadAllText(victim));
        Assert.Equal(Owner.Root, Libc.StatusOf(victim)!.Value.Owner);
        Assert.Equal([victim], Directory.GetFileSystemEntries(_fixture.At("victim")));
    }

    [Fact]
    public async Task The_start_does_not_wait_for_those_that_do_not_block_and_the_stop_ends_them()
    {
        Hook("h", "blocking: false", "echo begins; sleep 1000");
        await RunAsync().WaitAsync(TimeSpan.FromSeconds(5));
        await Tests.Fixtures.Eventually.TrueAsync(() => Task.FromResult(_fixture.Output.Contains("[h] begins", StringComparison.Ordinal)));
        await _fixture.Container.Running.BeginStopAsync().WaitAsync(TimeSpan.FromSeconds(10));
    }

    /// <summary>Servers that a hook starts: with its own output, with none, in a session of their own, by nohup. They run on, and what they say
    /// is in the log; the stop ends them.</summary>
    [Theory]
    [InlineData("(sleep 1.5; echo served; exec sleep 1000) &")]
    [InlineData("(sleep 1.5; exec sleep 1000) > /dev/null 2>&1 < /dev/null &")]
    [InlineData("setsid sh -c 'sleep 1.5; echo served; exec sleep 1000' &")]
    [InlineData("nohup sh -c 'sleep 1.5; echo served; exec sleep 1000' 2>&1 &")]
    public async Task What_a_hook_leaves_in_the_background_goes_on(string server)
    {
        Hook("h", "blocking: true", server + " echo $! > $DISCOBOT_WORKSPACE/../../../tmp-pid; exit 0");
        _fixture.Write("tmp-pid", "", 0x1B6);
        await RunAsync().WaitAsync(TimeSpan.FromSeconds(10));
        var id = int.Parse(File.ReadAllText(_fixture.At("tmp-pid")), System.Globalization.CultureInfo.InvariantCulture);
        Assert.Contains("hook h ended with exit code 0; what it left in the background goes on\n", _fixture.Output, StringComparison.Ordinal);
        if (server.Contains("served", StringComparison.Ordinal))
            await Tests.Fixtures.Eventually.TrueAsync(() => Task.FromResult(_fixture.Output.Contains("[h] served\n", StringComparison.Ordinal)));
        else
            // By time: that it lives on; this one says nothing.
            await Task.Delay(TimeSpan.FromSeconds(2));
        Assert.Contains(id, ProcessTree.Read().Running);
        Libc.Kill(id, (int)Signal.Kill);
    }

    private Task RunAsync() => new SessionHooks(_fixture.Container, new ClientProxy(_fixture.Container, new ProxySummary(), new ClientTrust()), new EgressRules(_fixture.Container)).RunAsync(CancellationToken.None);

    private void Hook(string name, string line, string script)
        => _fixture.Program($"home/discobot/workspace/.discobot/hooks/{name}", $"#---\n# type: session\n# {line}\n#---\n{script}");
}
