using Discobot.Tests.Fixtures;

namespace Discobot.Features.Init.Session;

/// <summary>Overlays and AgentFS databases, mounted by the whole init in namespaces.</summary>
public sealed class AgentFsSessionTests : IDisposable
{
    // The real program serves FUSE; this one has somebody outside bind a directory, which stands for the database's content.
    private const string AgentFs = """
        case $1 in init) : > /.data/.agentfs/$4.db;; mount) echo $4 $5 > /tmp/request; while [ -e /tmp/request ]; do sleep 0.02; done;; esac
        """;

    private const string Outside = """
        (while :; do [ ! -s tmp/request ] || { read id at < tmp/request; mount --bind .data/.agentfs/$id ./$at; rm tmp/request; }; sleep 0.02; done) > /dev/null 2>&1 &
        """;

    private readonly Enclosure _inside = new();

    public AgentFsSessionTests()
    {
        _inside.Prepare("rm $1/opt/discobot/bin/proxy; mkdir -p $2/.agentfs/s1; chown 1000:1000 $2/.agentfs $2/.agentfs/s1");
        _inside.Program("/usr/local/bin/agentfs", AgentFs);
        _inside.Before = Outside;
    }

    public void Dispose() => _inside.Dispose();

    [Fact]
    public async Task What_the_session_writes_is_there_at_the_next_start_and_the_layers_are_closed_to_the_agent()
    {
        _inside.Before = ":";
        _inside.Prepare("echo image > $1/home/discobot/.of-image");
        _inside.Agent("cat ~/.of-image; echo mine > ~/note; for d in discobot .overlayfs; do ls /.data/$d 2>/dev/null && echo LEAK; { echo x > /.data/$d/x; } 2>/dev/null && echo LEAK; done; exit 0");
        Assert.True(await _inside.RunAsync() == 0, _inside.Output);
        Assert.Contains("image\n", _inside.Output, StringComparison.Ordinal);
        Assert.DoesNotContain("LEAK", _inside.Output, StringComparison.Ordinal);
        _inside.Agent("cat ~/note; grep ' /home/discobot ' /proc/self/mountinfo; exit 0");
        Assert.True(await _inside.RunAsync() == 0, _inside.Output);
        Assert.Contains("\nmine\n", _inside.Output, StringComparison.Ordinal);
        Assert.Contains("lowerdir=/.data/discobot,upperdir=/.data/.overlayfs/s1/upper,workdir=/.data/.overlayfs/s1/work", _inside.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Where_mounting_is_impossible_the_start_fails_with_advice_and_no_work_is_lost()
    {
        _inside.Prepare("mkdir -p $2/.overlayfs/s1/upper; echo work > $2/.overlayfs/s1/upper/note");
        _inside.Under = ["setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin"];
        Assert.True(await _inside.RunAsync() == 1, _inside.Output);
        Assert.Contains("error: filesystem failed: mount overlay on /home/discobot", _inside.Output, StringComparison.Ordinal);
        Assert.Contains("--cap-add SYS_ADMIN", _inside.Output, StringComparison.Ordinal);
        Assert.Equal("work\n", await File.ReadAllTextAsync(_inside.At("/.data/.overlayfs/s1/upper/note")));
    }

    [Fact]
    public async Task A_session_in_AgentFS_moves_once_and_newer_work_is_never_written_over()
    {
        _inside.Prepare("echo old > $2/.agentfs/s1/note; mkdir $2/.agentfs/s1/workspace; chown -R 1000:1000 $2/.agentfs; : > $2/.agentfs/s1.db");
        _inside.Agent("cat ~/note; echo newer > ~/note; exit 0");
        Assert.True(await _inside.RunAsync() == 0, _inside.Output);
        Assert.Contains("moving session s1 from AgentFS to OverlayFS\n", _inside.Output, StringComparison.Ordinal);
        Assert.Contains("\nold\n", _inside.Output, StringComparison.Ordinal);

        // Whatever is asked for, and though the mark of the move is gone.
        File.Delete(_inside.At("/.data/.overlayfs/s1/.migrated"));
        foreach (var wish in new[] { "agentfs", "AgentFS", "overlayfs", "" })
        {
            _inside.Environment["DISCOBOT_FILESYSTEM"] = wish;
            _inside.Agent("cat ~/note; exit 0");
            Assert.True(await _inside.RunAsync() == 0, _inside.Output);
            Assert.Contains("\nnewer\n", _inside.Output, StringComparison.Ordinal);
        }

        Assert.Equal("old\n", await File.ReadAllTextAsync(_inside.At("/.data/.agentfs/s1/note")));
    }

    [Fact]
    public async Task A_move_that_was_interrupted_begins_anew()
    {
        _inside.Prepare("""
            echo whole > $2/.agentfs/s1/note; mkdir $2/.agentfs/s1/workspace; chown -R 1000:1000 $2/.agentfs; : > $2/.agentfs/s1.db
            mkdir -p $2/.overlayfs/s1.moving/upper $2/.overlayfs/s1.moving/work; echo ha > $2/.overlayfs/s1.moving/upper/note; echo x > $2/.overlayfs/s1.moving/upper/extra
            """);
        _inside.Agent("cat ~/note; ls ~; exit 0");
        Assert.True(await _inside.RunAsync() == 0, _inside.Output);
        Assert.Contains("\nwhole\n", _inside.Output, StringComparison.Ordinal);
        Assert.DoesNotContain("extra", _inside.Output, StringComparison.Ordinal);
        Assert.False(Directory.Exists(_inside.At("/.data/.overlayfs/s1.moving")));
    }

    [Fact]
    public async Task A_session_that_asks_for_AgentFS_gets_it_again_at_the_next_start()
    {
        _inside.Environment["DISCOBOT_FILESYSTEM"] = "AgentFS";
        _inside.Prepare("mkdir $2/.agentfs/s1/workspace; chown -R 1000:1000 $2/.agentfs");
        _inside.Agent("cat ~/note; echo mine > ~/note; exit 0");
        Assert.True(await _inside.RunAsync() == 0, _inside.Output);
        Assert.True(await _inside.RunAsync() == 0, _inside.Output);
        Assert.Contains("\nmine\n", _inside.Output, StringComparison.Ordinal);
        Assert.False(Directory.Exists(_inside.At("/.data/.overlayfs/s1")));
    }

    /// <summary>It serves the home as long as the session, as the agent's user, whose programs can read its environment.</summary>
    [Fact]
    public async Task Its_program_gets_none_of_the_containers_secrets()
    {
        _inside.Environment["DISCOBOT_FILESYSTEM"] = "agentfs";
        _inside.Environment["TOKEN"] = "geheim";
        _inside.Environment["AGENTFS_CACHE"] = "kept";
        _inside.Prepare("mkdir $2/.agentfs/s1/workspace; chown -R 1000:1000 $2/.agentfs");
        _inside.Program("/usr/local/bin/agentfs", "env > /tmp/environment-$1\n" + AgentFs);
        Assert.True(await _inside.RunAsync() == 0, _inside.Output);
        foreach (var verb in new[] { "init", "mount" })
        {
            var environment = await File.ReadAllLinesAsync(_inside.At("/tmp/environment-" + verb));
            Assert.Contains("AGENTFS_CACHE=kept", environment);
            Assert.Contains("HOME=/home/discobot", environment);
            Assert.DoesNotContain(environment, line => line.Contains("geheim", StringComparison.Ordinal));
        }
    }

    [Fact]
    public async Task Without_its_program_the_error_names_it_and_nothing_is_changed()
    {
        _inside.Prepare("rm $1/local/bin/agentfs; : > $2/.agentfs/s1.db");
        Assert.True(await _inside.RunAsync() == 1, _inside.Output);
        Assert.Contains("session s1 is kept in AgentFS, and the program agentfs is not on PATH", _inside.Output, StringComparison.Ordinal);
        Assert.True(File.Exists(_inside.At("/.data/.agentfs/s1.db")));
    }
}
