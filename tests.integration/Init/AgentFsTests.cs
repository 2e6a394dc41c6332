using Discobot.Integration.Fixtures;

namespace Discobot.Integration.Init;

/// <summary>
/// Sessions that are kept by the program agentfs. What has this name here is a stand-in (Tools/agentfs): it has the same command line, and
/// really mounts by FUSE, as the agent's user and in the background.
/// </summary>
public sealed class AgentFsTests
{
    private const string Database = "/.data/.agentfs/session-1.db";
    private const string ShowMount = "grep ' /home/discobot ' /proc/self/mountinfo | sed 's/.* - \\([a-z]*\\).*/mounted \\1/'";

    [Theory, MemberData(nameof(Distro.Shells), MemberType = typeof(Distro))]
    public async Task A_new_session_lives_in_its_database_and_is_there_after_a_restart(Distro distro)
    {
        await using var container = New(distro, agentFs: true);
        container.Prepare("mkdir -p /.workspace/.discobot/hooks; echo content > /.workspace/file; echo image > /home/discobot/.from-image");
        container.Program("/.workspace/.discobot/hooks/hook", "#---\n# type: session\n# blocking: true\n#---\necho hooked");
        container.Environment["WORKSPACE_PATH"] = "/.workspace";
        container.Agent($"said=$({ShowMount}; cat file ~/.from-image; stat -c 'owner %U' file; echo mine > ~/note; echo more >> file); echo \"$said\"; exit 0");
        Assert.Equal(0, await container.RunAsync());
        var log = await container.OutputAsync();
        Assert.Contains("\nmounted fuse\ncontent\nimage\nowner discobot\n", log, StringComparison.Ordinal);
        Assert.Contains("[agentfs] agentfs (a stand-in): init --base /.data/discobot session-1", log, StringComparison.Ordinal);
        Assert.Contains("hook hook ended with exit code 0", log, StringComparison.Ordinal);
        Assert.Contains("HTTP proxy ready on port 17080", log, StringComparison.Ordinal);

        container.Agent($"said=$({ShowMount}; cat file ~/note); echo \"$said\"; exit 0");
        Assert.Equal(0, await container.RunAsync());
        log = await container.OutputAsync();
        Assert.True(log.Contains("\nmounted fuse\ncontent\nmore\nmine\n", StringComparison.Ordinal), log);
        Assert.DoesNotContain("[agentfs]", log, StringComparison.Ordinal);
    }

    /// <summary>The move is stopped and killed while it is under way; the next start begins anew, and what comes after it is never touched again.</summary>
    [Theory, MemberData(nameof(Distro.Shells), MemberType = typeof(Distro))]
    public async Task A_database_moves_to_OverlayFS_once_also_after_a_stop_and_a_kill_and_newer_work_stays(Distro distro)
    {
        await using var volume = await DataVolume.CreateAsync();
        await using (var before = New(distro, agentFs: true, volume))
        {
            before.AgentSays("rm ~/.in-image; echo old > ~/note; mkdir ~/many; for i in $(seq 3000); do echo $i > ~/many/$i; done; ln -s note ~/link; chmod 750 ~/many");
            before.Prepare("echo image > /home/discobot/.in-image");
            Assert.Equal(0, await before.RunAsync());
        }

        await using (var moving = New(distro, agentFs: false, volume))
        {
            moving.Agent($"said=$({ShowMount}; ls ~/many | wc -l; cat ~/many/3000 ~/link; stat -c '%a %U' ~/many; [ -e ~/.in-image ] || echo still removed; echo newer > ~/note; rm ~/many/1); echo \"$said\"; exit 0");
            await InterruptAsync(moving, "TERM", 0);
            await InterruptAsync(moving, "KILL", 137);

            Assert.Equal(0, await moving.RunAsync());
            var log = await moving.OutputAsync();
            Assert.Contains("session session-1 moved; its database is kept", log, StringComparison.Ordinal);
            Assert.Contains("\nmounted overlay\n3000\n3000\nold\n750 discobot\nstill removed\n", log, StringComparison.Ordinal);

            await AssertNewerStaysAsync(moving);
        }

        await using var asked = New(distro, agentFs: true, volume);
        await AssertNewerStaysAsync(asked);
        Assert.Contains("this session has its work in OverlayFS already: OverlayFS is used", await asked.OutputAsync(), StringComparison.Ordinal);
        asked.Agent("sleep 1000");
        await asked.StartAsync();
        await asked.SeeAsync("startup completed");
        await asked.ShellAsync($"grep -q 3000 {Database}; [ -s /.data/.overlayfs/session-1/.migrated ]; ! ls -d /.data/.overlayfs/session-1.moving");
    }

    [Theory, MemberData(nameof(Distro.Shells), MemberType = typeof(Distro))]
    public async Task Without_the_program_the_error_names_it_and_the_database_stays(Distro distro)
    {
        await using var container = New(distro, agentFs: true, program: "true");
        Assert.Equal(1, await container.RunAsync());
        Assert.Contains("error: filesystem failed: DISCOBOT_FILESYSTEM=agentfs asks for AgentFS, and the program agentfs is not on PATH: put it into the image",
            await container.OutputAsync(), StringComparison.Ordinal);

        await using var kept = New(distro, agentFs: false, program: "mkdir -p /.data/.agentfs; echo kept > " + Database);
        Assert.Equal(1, await kept.RunAsync());
        Assert.Contains("session session-1 is kept in AgentFS, and the program agentfs is not on PATH", await kept.OutputAsync(), StringComparison.Ordinal);
        Assert.Equal("kept\n", await kept.ReadAsync(Database));
    }

    [Theory, MemberData(nameof(Distro.Shells), MemberType = typeof(Distro))]
    public async Task A_database_beside_work_in_OverlayFS_is_told_of_and_left_alone(Distro distro)
    {
        await using var container = New(distro, agentFs: false, program: "mkdir -p /.data/.agentfs /.data/.overlayfs/session-1/upper; echo work > /.data/.overlayfs/session-1/upper/note; echo kept > " + Database);
        container.Agent("cat ~/note; exit 0");
        Assert.Equal(0, await container.RunAsync());
        var log = await container.OutputAsync();
        Assert.Contains("an AgentFS database that was not moved there: OverlayFS is used, the database stays as it is", log, StringComparison.Ordinal);
        Assert.Contains("\nwork\n", log, StringComparison.Ordinal);
        Assert.Equal("kept\n", await container.ReadAsync(Database));
    }

    [Theory, MemberData(nameof(Distro.Shells), MemberType = typeof(Distro))]
    public async Task A_program_that_fails_ends_the_start_with_its_exit_code_and_its_words(Distro distro)
    {
        await EndsAsync(distro, "echo no room; exit 3", "agentfs init failed with exit code 3", "[agentfs] no room");
        await EndsAsync(distro, "[ $1 = init ] && exit 0; echo no device; exit 4", "agentfs mount failed with exit code 4", "no device");
    }

    /// <summary>All at once, since each takes its time to the end; what hangs is gone with the container.</summary>
    [Fact]
    public Task A_program_that_hangs_or_does_not_mount_ends_the_start_in_time()
        => Task.WhenAll(new[] { Distro.Debian, Distro.Alpine, Distro.Fedora }.SelectMany(distro => new[]
        {
            EndsAsync(distro, "exec sleep 1000", "agentfs init did not end within 30 s"),
            EndsAsync(distro, "[ $1 = init ] || exec sleep 1000", "agentfs did not mount session session-1 at /home/discobot within 10 s"),
            EndsAsync(distro, "exit 0", "agentfs did not mount session session-1 at /home/discobot within 10 s"),
        }));

    // Some of the files are there, the last ones are not.
    private static async Task InterruptAsync(SessionContainer moving, string signal, int code)
    {
        await moving.StartAsync();
        await moving.SeeAsync("moving session session-1 from AgentFS to OverlayFS");
        await moving.ShellAsync("until ls /.data/.overlayfs/session-1.moving/upper/many/1* 2>/dev/null | grep -q .; do sleep 0.01; done");
        await moving.SendAsync(signal);
        Assert.Equal(code, await moving.EndAsync());
        Assert.DoesNotContain("session session-1 moved", await moving.OutputAsync(), StringComparison.Ordinal);
    }

    private static async Task EndsAsync(Distro distro, string script, params string[] said)
    {
        await using var container = New(distro, agentFs: true, program: "true");
        container.Program("/usr/local/bin/agentfs", script);
        Assert.Equal(1, await container.RunAsync());
        var log = await container.OutputAsync();
        Assert.All(said, text => Assert.Contains(text, log, StringComparison.Ordinal));
        Assert.Contains("startup failed, stopping", log, StringComparison.Ordinal);
        Assert.DoesNotContain("agent-api started", log, StringComparison.Ordinal);
    }

    // After the move: the agent's newer note is there, the file it removed is not.
    private static async Task AssertNewerStaysAsync(SessionContainer container)
    {
        container.Agent($"said=$({ShowMount}; cat ~/note; ls ~/many | wc -l); echo \"$said\"; exit 0");
        Assert.Equal(0, await container.RunAsync());
        var log = await container.OutputAsync();
        Assert.Contains("\nmounted overlay\nnewer\n2999\n", log, StringComparison.Ordinal);
        Assert.DoesNotContain("moving session", log, StringComparison.Ordinal);
    }

    private static SessionContainer New(Distro distro, bool agentFs, DataVolume? volume = null, string program = "ln -s /opt/agentfs-stand-in/bin/agentfs /usr/local/bin/agentfs")
    {
        var container = new SessionContainer(distro.ImageWithClients) { Fuse = true, Data = volume };
        container.Prepare(program);
        if (agentFs)
            container.Environment["DISCOBOT_FILESYSTEM"] = "agentfs";
        return container;
    }
}
