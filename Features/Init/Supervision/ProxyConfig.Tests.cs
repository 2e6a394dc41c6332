using Discobot.Infrastructure.Native;

namespace Discobot.Features.Init.Supervision;

public sealed class ProxyConfigTests : IDisposable
{
    private const string File = "home/discobot/workspace/.discobot/proxy/config.yaml";
    private readonly ContainerFixture _fixture = new();

    public ProxyConfigTests() => Directory.CreateDirectory(_fixture.At(".data/proxy"));

    public void Dispose() => _fixture.Dispose();

    [Fact]
    public async Task The_workspaces_own_comes_first_and_only_root_may_change_the_copy()
    {
        _fixture.Write(File, "proxy: {}\n");
        await RunAsync(new Owner(990, 991));
        var copy = _fixture.At(".data/proxy/config.yaml");
        Assert.Equal("proxy: {}\n", System.IO.File.ReadAllText(copy));
        Assert.Equal((new Owner(0, 991), 0x1A0u), (Libc.StatusOf(copy)!.Value.Owner, Libc.StatusOf(copy)!.Value.Permissions));
    }

    /// <summary>It may hold credentials. The group says nothing where the agent is in it.</summary>
    [Fact]
    public async Task An_agent_in_the_proxys_group_cannot_read_it()
    {
        await RunAsync(new Owner(990, _fixture.Container.Agent.Group));
        var copy = Libc.StatusOf(_fixture.At(".data/proxy/config.yaml"))!.Value;
        Assert.Equal((new Owner(990, _fixture.Container.Agent.Group), 0x100u), (copy.Owner, copy.Permissions));
    }

    [Fact]
    public async Task Without_one_the_built_in_default_is_written()
    {
        await RunAsync();
        Assert.Null(_fixture.ChosenFrom);
        Assert.DoesNotContain("NOT used", _fixture.Output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Where_the_proxy_asks_for_users_the_start_says_what_programs_need(bool asks)
    {
        _fixture.Summary = new ProxySummary { AsksForUsers = asks, Port = 18000 };
        await RunAsync();
        Assert.Equal(asks, _fixture.Output.Contains("HTTPS_PROXY=http://USER:PASSWORD@localhost:18000", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("root:root 600", "root:root 755", false)]
    [InlineData("root:root 640", "root:root 755", false)]
    [InlineData("root:root 644", "root:root 755", true)]
    [InlineData("root:root 604", "root:root 755", true)]
    [InlineData("root:root 644", "root:root 750", false)]
    [InlineData("AGENT:root 600", "root:root 755", true)]
    [InlineData("AGENT:root 000", "root:root 755", true)]
    [InlineData("root:GROUP 640", "root:root 755", true)]
    [InlineData("root:GROUP 604", "root:root 755", false)]
    [InlineData("root:root 644", "root:GROUP 710", true)]
    [InlineData("root:root 644", "AGENT:root 700", true)]
    [InlineData("root:GROUP 640", "root:root 750", false)]
    public async Task A_secrets_file_that_the_agent_may_read_is_told(string file, string directory, bool told)
    {
        var agent = _fixture.Container.Agent;
        var path = Path.Combine(Directory.CreateDirectory("/tmp/discobot-test-" + Guid.NewGuid().ToString("N")).FullName, "token");
        try
        {
            System.IO.File.WriteAllText(path, "secret");
            foreach (var (of, words) in new[] { (path, file), (Path.GetDirectoryName(path)!, directory) })
                ContainerFixture.Sh($"chown {words.Split(' ')[0].Replace("AGENT", $"{agent.User}", StringComparison.Ordinal).Replace("GROUP", $"{agent.Group}", StringComparison.Ordinal)} \"$1\"; chmod {words.Split(' ')[1]} \"$1\"", of);
            _fixture.Summary = new ProxySummary { SecretPaths = [path] };
            await RunAsync();
            Assert.Equal(told, _fixture.Output.Contains($"{path} can be read by {agent.Name}", StringComparison.Ordinal));
        }
        finally
        {
            Directory.Delete(Path.GetDirectoryName(path)!, recursive: true);
        }
    }

    /// <summary>It is run as the user who leaves by no rule and reads the authority's key.</summary>
    [Theory]
    [InlineData("chown 65534 token", false)]
    [InlineData("chmod 777 token", false)]
    [InlineData("mv token other; chown 65534 .; ln -s other token", false)]
    [InlineData(":", true)]
    public async Task A_program_that_says_a_secret_is_roots_alone_or_there_is_no_start(string made, bool starts)
    {
        var program = _fixture.Program("/opt/token", "echo a-token");
        ContainerFixture.Sh($"cd \"$(dirname \"$1\")\"; {made}", program);
        _fixture.Summary = new ProxySummary { SecretCommands = [[program, "--scope", "read"]] };
        if (starts)
        {
            await RunAsync();
            Assert.DoesNotContain("could be changed", _fixture.Output, StringComparison.Ordinal);
            return;
        }

        var told = await Assert.ThrowsAsync<StartupException>(() => RunAsync());
        Assert.True(told.IsFatal);
        Assert.StartsWith($"{program}, which is to say what a secret is (secrets.NAME.command), could be changed by the agent", told.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_script_that_it_is_given_and_that_is_not_roots_alone_is_told()
    {
        var (script, other) = (_fixture.Program("/opt/script", ":"), _fixture.Program("/opt/other", ":"));
        ContainerFixture.Sh("chown 65534 \"$1\"", script);
        _fixture.Summary = new ProxySummary { SecretCommands = [["/bin/sh", script, other]] };
        await RunAsync();
        Assert.Contains($"warning: {script}, which programs that say what a secret is are given", _fixture.Output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("ln -s /etc/passwd config.yaml", "without following links")]
    [InlineData("mkfifo config.yaml", "not a regular file")]
    [InlineData("mknod config.yaml c 1 5", "not a regular file")]
    [InlineData("mkdir config.yaml", "not a regular file")]
    [InlineData("truncate -s 1G config.yaml", "more than the 1048576 allowed")]
    [InlineData("printf '\\377\\376' > config.yaml", "not valid UTF-8")]
    [InlineData("cd ..; rmdir proxy; ln -s /etc proxy", "without following links")]
    [InlineData("cd ../..; rm -r .discobot; ln -s /etc .discobot", "without following links")]
    public async Task What_is_no_small_text_of_its_own_is_not_read_and_the_reason_is_told(string made, string reason)
    {
        ContainerFixture.Sh($"mkdir -p \"$1\"; cd \"$1\"; {made}", Path.GetDirectoryName(_fixture.At(File))!);
        await RunAsync().WaitAsync(TimeSpan.FromSeconds(10));
        Assert.Null(_fixture.ChosenFrom);
        Assert.Contains("error: proxy configuration NOT used:", _fixture.Output, StringComparison.Ordinal);
        Assert.Contains(reason, _fixture.Output, StringComparison.Ordinal);
    }

    [Fact]
    public void An_edit_of_the_policy_with_a_mistake_is_told_with_the_mistake_and_no_restart_before_it_is_corrected()
    {
        var paths = new ContainerPaths(_fixture.At(""));
        _fixture.Write("etc/discobot/policy.yaml", "allowlist: {enabled: true}\n");
        new ProxyState { Policy = PolicyEdits.Written(paths) }.Write(paths);
        Assert.Equal("not used: policy.yaml:1:1: no", Check(paths, "policy.yaml:1:1: no").Detail);

        _fixture.Write("etc/discobot/policy.yaml", "allowlist: {enabled: maybe}\n");
        Assert.Equal(
            ($"{paths.Policy} was written after the start, and will not be used as it is: policy.yaml:1:1: no",
                "correct the workspace's .discobot/proxy/config.yaml or the operator's policy, and restart the container after that"),
            (Check(paths, "policy.yaml:1:1: no").Detail, Check(paths, "policy.yaml:1:1: no").Fix));
        Assert.Equal(($"{paths.Policy} was written after the start", "restart the container for it to count"), (Check(paths).Detail, Check(paths).Fix));
    }

    [Fact]
    public void Only_a_policy_that_is_certainly_gone_was_taken_away()
    {
        var paths = new ContainerPaths(_fixture.At(""));
        var state = new ProxyState { Policy = "1/1" };
        Assert.Equal($"{paths.Policy} was taken away after the start", PolicyEdits.Missed(paths, state));
        // A link to itself leads nowhere that could be looked at, as a directory that may not be searched.
        ContainerFixture.Sh("mkdir -p \"$1\"; ln -s policy.yaml \"$1/policy.yaml\"", Path.GetDirectoryName(paths.Policy)!);
        Assert.Null(PolicyEdits.Missed(paths, state));
    }

    private static Checks.Finding Check(ContainerPaths paths, params string[] refused) =>
        ProxyConfig.Check(new Checks.SeenContainer(paths, new Dictionary<string, string>(), () => refused));

    private Task<ConfigInForce> RunAsync(Owner owner = default) => new ProxyConfig(_fixture.Container).RunAsync(new DataVolume(null, owner, Task.CompletedTask));
}
