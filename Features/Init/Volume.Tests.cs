using System.Diagnostics;
using Discobot.Infrastructure.Native;
using Discobot.Tests.Fixtures;

namespace Discobot.Features.Init;

/// <summary>What happens to the work on a volume, in the whole init in namespaces.</summary>
public sealed class VolumeTests : IDisposable
{
    private const string Rename = """
        set -e; cd /workspace; git mv src lib; python3 -c 'import os; os.rename("deep/a", "b")'; mv ~/.config/tool ~/.tool; mkdir src; echo new > src/x
        cat lib/f b/f ~/.tool/f src/x; ls deep; echo renamed
        """;

    private readonly Enclosure _inside = new();

    public void Dispose() => _inside.Dispose();

    /// <summary>Of the clone, of a directory within, of the image's home; at the first start and with a volume that an older version made.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_directory_of_the_clone_or_the_home_can_be_renamed_and_stays_so(bool isOld)
    {
        Assert.True(await PrepareAsync(isOld) == 0, _inside.Output);
        _inside.Agent(Rename);
        Assert.True(await _inside.RunAsync() == 0, _inside.Output);
        Assert.Contains("\n1\n2\n3\nnew\nrenamed\n", _inside.Said, StringComparison.Ordinal);
        _inside.Agent("cd /workspace; cat lib/f b/f ~/.tool/f src/x old; ls src deep | wc -w; exit 0");
        Assert.True(await _inside.RunAsync() == 0, _inside.Output);
        Assert.Contains($"\n1\n2\n3\nnew\n{(isOld ? "kept\n" : "")}", _inside.Said, StringComparison.Ordinal);
    }

    /// <summary>Where the overlay's own attributes cannot be set: moving a directory takes a copy, and nothing fails at a directory that is made anew.</summary>
    [Fact]
    public async Task In_a_user_namespace_directories_are_moved_by_copying_and_made_anew()
    {
        const string Enter = """
            import ctypes, os, sys
            ready, mapped = os.pipe(), os.pipe()
            child = os.fork()
            if child == 0:
                assert ctypes.CDLL(None).unshare(0x10000000 | 0x20000) == 0
                os.write(ready[1], b"x"); os.close(mapped[1]); os.read(mapped[0], 1)
                os.setgroups([]); os.setresgid(0, 0, 0); os.setresuid(0, 0, 0)
                os.execvp(sys.argv[1], sys.argv[1:])
            os.close(ready[1]); os.read(ready[0], 1)
            for kind in "uid", "gid":
                open(f"proc/{child}/{kind}_map", "w").write("0 0 65535")
            os.write(mapped[1], b"x")
            sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) & 255)
            """;
        await PrepareAsync(isOld: false);
        await File.WriteAllTextAsync(_inside.At("/enter.py"), Enter);

        // Before the change of root: after it the kernel makes no such namespace.
        _inside.Before = "exec python3 ./enter.py chroot . \"$@\"";
        _inside.Agent("set -e; cd; mv .config/tool .tool; old=$(cat .tool/f); rm -r .tool; mkdir .tool .config/tool; echo new > .tool/f; echo found $old $(ls .config/tool | wc -l) $(cat /workspace/src/f); exit 0");
        Assert.True(await _inside.RunAsync() == 0, _inside.Output);
        Assert.Contains("found 3 0 1\n", _inside.Output, StringComparison.Ordinal);
        Assert.DoesNotContain("plain directory", _inside.Output, StringComparison.Ordinal);
        _inside.Agent("echo found $(cat ~/.tool/f) $(ls ~/.config/tool | wc -l); exit 0");
        Assert.True(await _inside.RunAsync() == 0, _inside.Output);
        Assert.Contains("found new 0\n", _inside.Output, StringComparison.Ordinal);
    }

    /// <summary>An overlay could be mounted there, and would fail later.</summary>
    [Fact]
    public async Task On_a_file_system_without_attributes_a_session_lives_in_a_plain_directory_or_does_not_start()
    {
        await PrepareAsync(isOld: false);
        _inside.Before = "mount -t ramfs none .data";
        _inside.Agent(Rename + "; exit 0");
        Assert.True(await _inside.RunAsync() == 0, _inside.Output);
        Assert.Contains("warning: the file system of /.data keeps no extended attributes", _inside.Output, StringComparison.Ordinal);
        Assert.Contains("\nrenamed\n", _inside.Output, StringComparison.Ordinal);
        _inside.Environment["DISCOBOT_FILESYSTEM"] = "overlayfs";
        Assert.Equal(1, await _inside.RunAsync());
        Assert.Contains("keeps no extended attributes, without which OverlayFS fails sooner or later. Nothing of the session was changed.", _inside.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_session_is_one_containers_at_a_time_and_the_second_is_told_whose()
    {
        _inside.Agent("echo agent ready; sleep 1000");
        await _inside.StartAsync();
        await _inside.SeeAsync("agent ready");
        using var second = new Enclosure(_inside);
        Assert.Equal(1, await second.RunAsync());
        Assert.Contains($"session s1 is in use by container {Environment.MachineName}", second.Output, StringComparison.Ordinal);

        // Killed, not stopped: nothing is left that would have to be cleaned up.
        await _inside.SendAsync("KILL");
        await _inside.EndAsync();
        Assert.True(await second.RunAsync() == 0, second.Output);
    }

    /// <summary>The second one's start must neither change the rules of the first, nor get values that only the first one's operator may use.</summary>
    [Fact]
    public async Task Of_containers_with_one_volume_each_has_its_own_rules()
    {
        const string Policy = "allowlist: {enabled: true, domains: [first.example]}";
        _inside.Prepare($"mkdir -p $1/etc/discobot; echo '{Policy}' > $1/etc/discobot/policy.yaml");
        _inside.Agent("echo agent ready; sleep 1000");
        await _inside.StartAsync();
        await _inside.SeeAsync("agent ready");
        var rules = await File.ReadAllTextAsync(_inside.At("/.data/proxy/config.yaml"));
        Assert.Contains("first.example", rules, StringComparison.Ordinal);

        using var second = new Enclosure(_inside);
        second.Environment["SESSION_ID"] = "s2";
        Assert.True(await second.RunAsync() == 0, second.Output);
        Assert.Contains($"the proxy's configuration is kept in /run/discobot: that of this volume is container {Environment.MachineName}", second.Output, StringComparison.Ordinal);
        Assert.Equal(rules, await File.ReadAllTextAsync(_inside.At("/.data/proxy/config.yaml")));
        Assert.DoesNotContain("first.example", await File.ReadAllTextAsync(second.At("/run/discobot/config.yaml")), StringComparison.Ordinal);
        await _inside.SendAsync("KILL");
        await _inside.EndAsync();
    }

    [Fact]
    public async Task Three_first_starts_at_once_end_with_three_sessions_and_one_workspace()
    {
        var others = new[] { new Enclosure(_inside), new Enclosure(_inside) };
        try
        {
            var all = others.Prepend(_inside).ToList();
            foreach (var (one, number) in all.Select((e, i) => (e, i)))
            {
                one.Prepare("mkdir -p $1/home/discobot/of/image; echo x > $1/home/discobot/of/image/x; rm $1/opt/discobot/bin/proxy");
                one.Environment["SESSION_ID"] = $"s{number}";
                one.Environment["WORKSPACE_PATH"] = "https://h.test/r.git";
                one.Program("/usr/local/bin/git", $"case \"$*\" in *clone*) for t; do :; done; mkdir -p $t; echo {number} > $t/part1; sleep 1; echo {number} > $t/part2;; esac");
                one.Agent("echo $(cat part1 part2 ~/of/image/x); exit 0");
                await one.StartAsync();
            }

            foreach (var one in all)
                Assert.True(await one.EndAsync() == 0, one.Output);
            Assert.Single(all, one => one.Output.Contains("cloning", StringComparison.Ordinal));
            Assert.Contains(all, one => one.Output.Contains($"waiting for container {Environment.MachineName}", StringComparison.Ordinal));
            var seen = all.Select(one => one.Output.Split('\n').Single(line => line.EndsWith(" x", StringComparison.Ordinal))).Distinct().ToList();
            Assert.Matches("^([012]) \\1 x$", Assert.Single(seen));
        }
        finally
        {
            foreach (var other in others)
                other.Dispose();
        }
    }

    [Fact]
    public async Task An_agent_with_another_number_has_its_work_and_what_is_others_stays_theirs()
    {
        _inside.Prepare("mkdir -p $1/home/discobot/of/image; echo x > $1/home/discobot/of/image/x; chown -R 1000:1000 $1/home/discobot; rm $1/opt/discobot/bin/proxy");
        _inside.Agent("echo mine > ~/work; ln ~/work ~/second; mkdir ~/dir; echo w > /workspace/w; exit 0");
        Assert.True(await _inside.RunAsync() == 0, _inside.Output);
        _inside.Prepare("echo root > $2/.overlayfs/s1/upper/roots; sed -i 's/:1000:1000:/:1001:1001:/; s/:1000:/:1001:/' $1/etc/passwd $1/etc/group");
        _inside.Agent("set -e; cd; echo again >> work; echo z > /workspace/n; touch of/image/y new; rm -f second; stat -c %u work dir of of/image/x roots /workspace/ . | tr '\\n' ' '");
        Assert.True(await _inside.RunAsync() == 0, _inside.Output);
        Assert.True(_inside.Output.Contains("1001 1001 1001 1001 0 1001 1001 ", StringComparison.Ordinal), _inside.Output);
        Assert.Contains("belonged to user 1000, and discobot is 1001 in this image", _inside.Output, StringComparison.Ordinal);
        Assert.True(await _inside.RunAsync() == 0, _inside.Output);
        Assert.DoesNotContain("belonged to user", _inside.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_agent_whose_home_is_another_keeps_its_work()
    {
        _inside.Prepare("""
            mkdir -p $1/home/dev $1/victim; echo skeleton > $1/home/dev/.skeleton; chown -R 1002:1002 $1/home/dev; rm $1/opt/discobot/bin/proxy
            echo dev:x:1002:1002::/home/dev:/bin/sh >> $1/etc/passwd; echo dev:x:1002: >> $1/etc/group
            """);
        _inside.Environment["AGENT_USER"] = "dev";
        _inside.Agent("echo mine > ~/work; exit 0");
        Assert.True(await _inside.RunAsync() == 0, _inside.Output);
        Assert.False(File.Exists(_inside.At("/home/dev/work")));
        _inside.Agent("cd; pwd; cat work .skeleton /home/discobot/work; exit 0");
        Assert.True(await _inside.RunAsync() == 0, _inside.Output);
        Assert.Contains("\n/home/dev\nmine\nskeleton\nmine\n", _inside.Said, StringComparison.Ordinal);
    }

    /// <summary>A read-only directory, a volume, a single file, one within another, one where the image has something, and the workspace.</summary>
    [Fact]
    public async Task What_is_mounted_below_the_home_stays_visible_and_is_not_copied()
    {
        _inside.Prepare("""
            cd $1; mkdir -p keys volume/inner inner repo home/discobot/.ssh home/discobot/.keep home/discobot/deep/er home/discobot/workspace; : > home/discobot/.file
            echo key > keys/id; echo content > file; echo i > inner/i; echo r > repo/r; echo image > home/discobot/deep/er/image; chown -R 1000:1000 volume keys repo home/discobot; rm opt/discobot/bin/proxy
            """);
        _inside.Before = """
            h=home/discobot; mount --bind keys $h/.ssh; mount -o remount,bind,ro $h/.ssh; mount --bind volume $h/.keep; mount --bind inner $h/.keep/inner
            mount --bind file $h/.file; mount --bind inner $h/deep/er; mount --bind repo $h/workspace
            """;
        _inside.Agent("cd; cat .ssh/id .file .keep/inner/i deep/er/i workspace/r; touch .ssh/x 2>&1 | grep -o Read-only; echo data > .keep/f; cat /workspace/r; exit 0");
        for (var start = 0; start < 2; start++)
        {
            Assert.True(await _inside.RunAsync() == 0, _inside.Output);
            Assert.Contains("\nkey\ncontent\ni\ni\nr\nRead-only\nr\n", _inside.Said, StringComparison.Ordinal);
            Assert.Equal("data\n", await File.ReadAllTextAsync(_inside.At("/volume/f")));
        }

        foreach (var copied in new[] { ".ssh/id", ".keep/inner", "deep/er/i", ".file", "workspace/r" })
            Assert.False(Path.Exists(_inside.At("/.data/discobot/" + copied)), copied);
    }

    [Fact]
    public async Task A_shared_cache_shows_what_the_image_has_there()
    {
        _inside.Prepare("""
            rm $1/opt/discobot/bin/proxy; mkdir -p $1/shared $2/cache $1/home/discobot/.cargo/registry/index $1/home/discobot/.cache/tool; echo crate > $1/home/discobot/.cargo/registry/index/c
            echo warm > $1/home/discobot/.cache/tool/f; mkdir -p $1/shared/home/discobot/.cache/tool; echo newer > $1/shared/home/discobot/.cache/tool/f; chown -R 1000:1000 $1/home/discobot
            """);
        _inside.Before = "mount --bind shared .data/cache";
        _inside.Agent("cat ~/.cargo/registry/index/c ~/.cache/tool/f; exit 0");
        Assert.True(await _inside.RunAsync() == 0, _inside.Output);
        Assert.Contains("\ncrate\nnewer\n", _inside.Said, StringComparison.Ordinal);
    }

    /// <summary>Asked for, and where nothing can be mounted; the work is there at the next start, also when something can be by then.</summary>
    [Theory]
    [InlineData("plain", false)]
    [InlineData("", true)]
    public async Task Without_the_right_to_mount_a_session_lives_in_a_plain_directory(string asked, bool isHindered)
    {
        _inside.Prepare("mkdir -p $1/home/discobot/of/image; echo x > $1/home/discobot/of/image/x; chown -R 1000:1000 $1/home/discobot; rm $1/opt/discobot/bin/proxy");
        _inside.Environment["DISCOBOT_FILESYSTEM"] = asked;
        if (isHindered)
            _inside.Under = ["setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin"];
        _inside.Agent("set -e; cd; mkdir dir; echo mine > dir/work; mv of moved; cat moved/image/x; stat -c %u .; pwd; touch /workspace/w");
        Assert.True(await _inside.RunAsync() == 0, _inside.Output);
        Assert.Contains("\nx\n1000\n", _inside.Said, StringComparison.Ordinal);
        Assert.Equal(isHindered, _inside.Output.Contains("So the session's home is a plain directory below /.data", StringComparison.Ordinal));
        Assert.Equal("mine\n", await File.ReadAllTextAsync(_inside.At("/.data/.plain/s1/dir/work")));
        _inside.Under = [];
        _inside.Environment.Remove("DISCOBOT_FILESYSTEM");
        _inside.Agent("cat ~/dir/work; ls ~/of; ls /workspace/w; exit 0");
        Assert.True(await _inside.RunAsync() == 0, _inside.Output);
        Assert.Contains("\nmine\n", _inside.Output, StringComparison.Ordinal);
        Assert.Contains("/workspace/w\n", _inside.Output, StringComparison.Ordinal);
        Assert.Contains("cannot access '/home/discobot/of'", _inside.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Work_in_an_overlay_is_not_left_behind_for_a_plain_directory()
    {
        _inside.Prepare("rm $1/opt/discobot/bin/proxy");
        _inside.Agent("echo mine > ~/work; exit 0");
        Assert.True(await _inside.RunAsync() == 0, _inside.Output);
        _inside.Under = ["setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin"];
        Assert.Equal(1, await _inside.RunAsync());
        Assert.Contains("or do without by DISCOBOT_FILESYSTEM=plain. Nothing of the session was changed.", _inside.Output, StringComparison.Ordinal);
        Assert.Equal("mine\n", await File.ReadAllTextAsync(_inside.At("/.data/.overlayfs/s1/upper/work")));
    }

    /// <summary>A later start lists the directories and looks at no file: measured by find(1), which does just that. The best of several, as
    /// the machine has other things to do as well.</summary>
    [Fact]
    public async Task A_later_start_looks_at_none_of_a_hundred_thousand_files_of_the_image()
    {
        using var fixture = new ContainerFixture();
        ContainerFixture.Sh("cd \"$1\"; for d in $(seq 1000); do mkdir $d; cd $d; seq 100 | xargs touch; cd ..; done", fixture.At("home/discobot"));
        var home = new BaseHome(fixture.Container);
        await home.RunAsync(CancellationToken.None);
        var find = await BestAsync(() => Task.Run(() => ContainerFixture.Sh("find \"$1\" \"$2\" > /dev/null", fixture.At("home/discobot"), fixture.At(".data/discobot"))));
        var later = await BestAsync(() => home.RunAsync(CancellationToken.None));
        Assert.True(later < find * 5, $"{later.TotalMilliseconds} ms, find {find.TotalMilliseconds} ms");
    }

    private static async Task<TimeSpan> BestAsync(Func<Task> action)
    {
        var best = TimeSpan.MaxValue;
        for (var i = 0; i < 7; i++)
        {
            var watch = Stopwatch.StartNew();
            await action();
            best = watch.Elapsed < best ? watch.Elapsed : best;
        }

        return best;
    }

    private async Task<long> PrepareAsync(bool isOld)
    {
        _inside.Prepare("""
            rm $1/opt/discobot/bin/proxy; mkdir -p $1/repo/src $1/repo/deep/a $1/home/discobot/.config/tool; echo 1 > $1/repo/src/f; echo 2 > $1/repo/deep/a/f; echo 3 > $1/home/discobot/.config/tool/f
            cd $1/repo; git init -q .; git add .; git -c user.name=n -c user.email=a@b commit -qm 1; chown -R 1000:1000 $1/home/discobot
            """);
        _inside.Environment["WORKSPACE_PATH"] = "/repo";
        if (!isOld)
            return 0;
        _inside.Agent("echo kept > old; exit 0");
        return await _inside.RunAsync();
    }
}
