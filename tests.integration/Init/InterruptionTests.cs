using System.Diagnostics;
using Discobot.Integration.Fixtures;

namespace Discobot.Integration.Init;

/// <summary>A stop or a kill in the middle of the start.</summary>
public sealed class InterruptionTests
{
    /// <summary>Each step that can be made to last is met by TERM while it does.</summary>
    [Theory, MemberData(nameof(Steps))]
    public async Task A_stop_during_a_step_is_orderly_and_quick(Distro distro, string step)
    {
        await using var container = new SessionContainer(distro) { Docker = step == "dockerd" };
        Slow(container, step);
        await container.StartAsync();
        await container.SeeAsync(step switch { "home" => "data directories completed", "copy" => "copying it", _ => "step runs" });
        var watch = Stopwatch.StartNew();
        await container.SendAsync(step == "hook" ? "INT" : step == "git" ? "QUIT" : "TERM");
        Assert.Equal(0, await container.EndAsync());
        var log = await container.OutputAsync();
        Assert.True(watch.Elapsed < TimeSpan.FromSeconds(5), $"{watch.Elapsed}\n{log}");
        Assert.Contains("startup interrupted", log, StringComparison.Ordinal);
        Assert.Contains("stopped, exit code 0", log, StringComparison.Ordinal);
        Assert.DoesNotContain("agent-api started", log, StringComparison.Ordinal);
    }

    public static TheoryData<Distro, string> Steps()
    {
        var all = new TheoryData<Distro, string>();
        foreach (var step in new[] { "home", "copy", "git", "agentfs", "proxy", "dockerd", "hook" })
        {
            all.Add(Distro.Debian, step);
            all.Add(Distro.Alpine, step);
            all.Add(Distro.Fedora, step);
        }

        return all;
    }

    /// <summary>
    /// Starts, each killed somewhat later than the one before, so that the step they meet is another each time, often in its middle.
    /// How long a whole start takes here is measured first; the kills are closer together at its beginning, where the short steps are.
    /// The start that is left alone after them has to come up with everything.
    /// </summary>
    [Theory]
    [MemberData(nameof(Distro.All), MemberType = typeof(Distro))]
    public async Task A_start_killed_at_any_moment_is_repaired_by_the_next(Distro distro)
    {
        await using var container = new SessionContainer(distro);
        container.Environment["WORKSPACE_PATH"] = "/.workspace";
        container.Program("/sweep.sh", Sweep);
        container.Prepare("mkdir -p /.workspace/deep; for i in $(seq 300); do echo $i > /.workspace/deep/$i; done; mkdir -p /home/discobot/from/image; echo x > /home/discobot/from/image/x; exec sh /sweep.sh");
        container.Agent("echo $(cat deep/300 ~/from/image/x; ls deep | wc -l); [ \"$HTTP_PROXY\" ] && echo proxied; [ -e /tmp/leave ] && exit 0; sleep 10");
        // Two dozen starts: a third of a minute where nothing else runs.
        Assert.Equal(0, await container.RunAsync(TimeSpan.FromMinutes(4)));
        var log = await container.OutputAsync();
        Assert.True(log.Contains("sweep passed", StringComparison.Ordinal), log);
        // The signals met the start in many places, and the program was up in the last.
        var met = log.Split('\n').Where(l => l.StartsWith("met after: ", StringComparison.Ordinal)).Distinct().ToList();
        Assert.True(met.Count >= 3, string.Join('\n', met));
    }

    private const string Sweep = """
        # Each start is process 1 of namespaces of its own, on this container's files and volume.
        start() {
            unshare -m -p -f sh -c 'mount -t proc proc /proc; exec env -i PATH=$PATH SESSION_ID=s WORKSPACE_PATH=/.workspace /opt/discobot/bin/discobot init' > /tmp/out 2>&1 &
            outer=$!
        }
        inner() { for t in $(seq 100); do i=$(cat /proc/$outer/task/$outer/children 2>/dev/null); [ "$i" ] && break; sleep 0.005; done; echo $i; }
        met() { echo "met after: $(grep completed /tmp/out | tail -1 | sed 's/.*] //')"; }
        whole() {
            : > /tmp/leave; start; wait $outer; code=$?; rm /tmp/leave
            [ $code = 0 ] && grep -q '^300 x 300$' /tmp/out && grep -q '^proxied$' /tmp/out || { echo "not repaired: $code"; cat /tmp/out; exit 1; }
        }
        now() { read -r up rest < /proc/uptime; echo "${up%.*}${up#*.}0"; }
        began=$(now); whole; long=$(( $(now) - began ))
        for round in 1 2 3; do
            rm -rf /.data/discobot* /.data/.overlayfs /.data/proxy /.data/proxy.* 2>/dev/null
            for n in $(seq 8); do
                k=$(( n * 3 + round - 3 )); late=$(( long * k * k / 576 ))
                start; i=$(inner); sleep $(( late / 1000 )).$(printf %03d $(( late % 1000 )))
                kill -KILL $i 2>/dev/null; wait $outer 2>/dev/null; met
            done
            whole
        done
        echo sweep passed
        """;

    private static void Slow(SessionContainer container, string step)
    {
        const string Wait = "echo step runs >&2; echo step runs; sleep 1000";
        switch (step)
        {
            // More than can be written before the signal comes.
            case "home":
                container.Prepare("truncate -s 200G /home/discobot/large");
                break;
            case "copy":
                container.Prepare("mkdir /.workspace; truncate -s 200G /.workspace/large");
                container.Environment["WORKSPACE_PATH"] = "/.workspace";
                break;
            case "git":
                container.Program("/usr/local/bin/git", Wait);
                container.Environment["WORKSPACE_PATH"] = "https://git.example/a.git";
                break;
            case "agentfs":
                container.Program("/usr/local/bin/agentfs", Wait);
                container.Environment["DISCOBOT_FILESYSTEM"] = "agentfs";
                break;
            case "proxy":
                container.Program("/opt/discobot/bin/slow", Wait);
                container.Prepare("mv /opt/discobot/bin/slow /opt/discobot/bin/proxy");
                break;
            case "dockerd":
                container.Program("/usr/local/sbin/dockerd", Wait);
                break;
            default:
                container.Program("/tmp/hook", $"#---\n# type: session\n# blocking: true\n#---\n{Wait}");
                container.Prepare("mkdir -p /.workspace/.discobot/hooks; cp -p /tmp/hook /.workspace/.discobot/hooks/");
                container.Environment["WORKSPACE_PATH"] = "/.workspace";
                break;
        }
    }
}
