using Discobot.Infrastructure.Native;

namespace Discobot.Features.Init;

/// <summary>Steps of a few lines each, in a directory that stands for the container's root.</summary>
public sealed class SmallStepsTests : IDisposable
{
    private readonly ContainerFixture _fixture = new();

    public void Dispose() => _fixture.Dispose();

    [Fact]
    public async Task Path_MTU_probing_is_switched_on_and_what_somebody_chose_stays()
    {
        _fixture.Write("proc/sys/net/ipv4/ip_no_pmtu_disc", "0\n");
        _fixture.Write("proc/sys/net/ipv4/tcp_mtu_probing", "2\n");
        await new NetworkSettings(_fixture.Container).RunAsync(CancellationToken.None);
        Assert.Equal("1", File.ReadAllText(_fixture.At("proc/sys/net/ipv4/ip_no_pmtu_disc")));
        Assert.Equal("2\n", File.ReadAllText(_fixture.At("proc/sys/net/ipv4/tcp_mtu_probing")));
    }

    [Fact]
    public async Task The_hosts_file_is_changed_where_it_stands_since_it_is_mounted()
    {
        var path = _fixture.Write("etc/hosts", "::1 localhost ip6-localhost\n");
        var before = Libc.StatusOf(path)!.Value.Inode;
        await new LocalhostName(_fixture.Container).RunAsync(CancellationToken.None);
        Assert.Equal("127.0.0.1 localhost\n::1\tip6-localhost\n", File.ReadAllText(path));
        Assert.Equal(before, Libc.StatusOf(path)!.Value.Inode);
    }

    [Fact]
    public async Task Git_is_told_of_the_directories_once_and_the_users_own_lines_stay()
    {
        using var fixture = new ContainerFixture(("WORKSPACE_PATH", "/it's \"mine\""));
        fixture.Write("etc/gitconfig", "[user]\n\tname = me");
        for (var i = 0; i < 3; i++)
            await new GitSafeDirectories(fixture.Container).RunAsync(CancellationToken.None);
        using var git = System.Diagnostics.Process.Start(new System.Diagnostics.ProcessStartInfo("git", ["config", "-f", fixture.At("etc/gitconfig"), "--get-all", "safe.directory"]) { RedirectStandardOutput = true })!;
        Assert.Equal(
            "/it's \"mine\"\n/it's \"mine\"/.git\n/.workspace\n/.workspace/.git\n/.data/discobot/workspace\n/.data/discobot/workspace.staging\n/home/discobot/workspace\n/workspace\n",
            await git.StandardOutput.ReadToEndAsync());
        Assert.StartsWith("[user]\n\tname = me\n", File.ReadAllText(fixture.At("etc/gitconfig")), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(":")]
    [InlineData("mkdir workspace")]
    [InlineData("echo file > workspace")]
    [InlineData("ln -s /somewhere/else workspace")]
    [InlineData("ln -s /home/discobot/workspace workspace")]
    public async Task The_link_to_the_workspace_replaces_files_links_and_empty_directories(string before)
    {
        ContainerFixture.Sh($"cd \"$1\"; {before}", _fixture.Root);
        await new WorkspaceLink(_fixture.Container).RunAsync(CancellationToken.None);
        Assert.Equal("/home/discobot/workspace", new FileInfo(_fixture.At("workspace")).LinkTarget);
    }

    [Fact]
    public async Task It_replaces_no_directory_that_holds_something()
    {
        _fixture.Write("workspace/work", "mine");
        await Assert.ThrowsAsync<StartupException>(() => new WorkspaceLink(_fixture.Container).RunAsync(CancellationToken.None));
        Assert.Equal("mine", File.ReadAllText(_fixture.At("workspace/work")));
    }

    [Fact]
    public async Task The_caches_need_a_volume_or_the_users_word()
    {
        _fixture.Write(".data/cache/left/behind", "");
        await new CacheMounts(_fixture.Container).RunAsync(CancellationToken.None);
        Assert.Empty(Directory.GetFileSystemEntries(_fixture.At("home/discobot")));
    }

    [Theory]
    [InlineData("1\n{self}\n", null, true)]
    [InlineData("", "{self}\n", true)]
    [InlineData("1\n7\n", null, false)]
    [InlineData("0\n0\n{self}\n", null, false)]
    [InlineData("0\n", "{self}\n", false)]
    public async Task Groups_of_processes_are_changed_only_where_the_tree_is_our_own(string processes, string? ours, bool changed)
    {
        var self = Environment.ProcessId.ToString(System.Globalization.CultureInfo.InvariantCulture);
        _fixture.Write("proc/self/cgroup", "0::/\n");
        _fixture.Write("sys/fs/cgroup/cgroup.type", "domain\n");
        _fixture.Write("sys/fs/cgroup/cgroup.controllers", "cpu memory\n");
        _fixture.Write("sys/fs/cgroup/cgroup.procs", processes.Replace("{self}", self, StringComparison.Ordinal));
        if (ours is not null)
            _fixture.Write("sys/fs/cgroup/init/cgroup.procs", ours.Replace("{self}", self, StringComparison.Ordinal));
        new ControlGroups(_fixture.Container).AllowNesting();
        Assert.Equal(changed, File.Exists(_fixture.At("sys/fs/cgroup/cgroup.subtree_control")));
        if (!changed)
            return;
        Assert.Equal(self, (await File.ReadAllTextAsync(_fixture.At("sys/fs/cgroup/init/cgroup.procs"))).Trim());
        Assert.Equal("+cpu +memory", await File.ReadAllTextAsync(_fixture.At("sys/fs/cgroup/cgroup.subtree_control")));
    }

    [Fact]
    public void The_top_of_all_groups_is_never_ours()
    {
        _fixture.Write("sys/fs/cgroup/cgroup.controllers", "cpu memory\n");
        _fixture.Write("sys/fs/cgroup/cgroup.procs", $"{Environment.ProcessId}\n");
        new ControlGroups(_fixture.Container).AllowNesting();
        Assert.False(Directory.Exists(_fixture.At("sys/fs/cgroup/init")));
    }
}
