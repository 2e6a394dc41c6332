using Discobot.Integration.Fixtures;

namespace Discobot.Integration.Init;

/// <summary>A stop and a kill as each step of the start begins: as soon as the log says that the step before it is done.</summary>
public sealed class StepTests
{
    [Theory, MemberData(nameof(Distro.Shells), MemberType = typeof(Distro))]
    public async Task A_stop_as_any_step_begins_is_orderly_and_a_kill_is_repaired_by_the_next_start(Distro distro)
    {
        await using var container = new SessionContainer(distro);
        container.Environment["WORKSPACE_PATH"] = "/.workspace";
        container.Program("/steps.sh", Script);
        container.Prepare("mkdir -p /.workspace/deep /home/discobot/from/image; for i in $(seq 300); do echo $i > /.workspace/deep/$i; done; echo x > /home/discobot/from/image/x; exec sh /steps.sh");
        container.Agent("[ -e /tmp/leave ] || sleep 10; echo $(cat deep/300 ~/from/image/x; ls deep | wc -l); [ \"$HTTP_PROXY\" ] && echo proxied; exit 0");
        await container.RunAsync(TimeSpan.FromMinutes(9));
        Assert.True(await container.OutputAsync() == "met 18 steps\n", await container.OutputAsync());
    }

    private const string Script = """
        fail() { echo "FAILED: $*"; cat /tmp/out; exit 1; }

        # SIGCGT of proc(5): from the moment it is handled, TERM means something to process 1.
        handled() { until grep -q '^SigCgt:.*[4-7c-f][0-9a-f]\{3\}$' /proc/$1/status 2>/dev/null; do :; done; }

        # A start as process 1 of namespaces of its own, on this container's files and volume. SIGNAL meets it when the step BEFORE is done.
        start() {
            signal=$1 before=$2
            : > /tmp/out
            rm -f /tmp/pid
            { unshare -m -p -f sh -c 'read -r pid rest < /proc/self/stat; echo $pid > /tmp/pid.new; mv /tmp/pid.new /tmp/pid; mount -t proc proc /proc
                exec env -i PATH=$PATH SESSION_ID=s WORKSPACE_PATH=/.workspace /opt/discobot/bin/discobot init'; echo $? > /tmp/code; } 2>&1 |
            while read -r line; do
                case $line in *"s] $before completed") read -r pid < /tmp/pid; kill -$signal $pid ;; esac
                echo "$line" >> /tmp/out
            done &
            reader=$!
            if [ "$before" = exec ]; then
                until [ -e /tmp/pid ]; do :; done
                read -r pid < /tmp/pid; handled $pid; kill -$signal $pid
            fi
            wait $reader
            read -r code < /tmp/code
        }
        whole() {
            : > /tmp/leave; start TERM nothing; rm /tmp/leave
            [ $code = 0 ] && grep -q '^300 x 300$' /tmp/out && grep -q '^proxied$' /tmp/out || fail "the start after $1 gave $code"
        }
        # All that the steps make. Another CA has to be trusted anew, which takes the tool's time: only where its making is what is met.
        forget() {
            rm -rf /.data/discobot* /.data/.overlayfs
            case $1 in data*|base*|workspace|CA*) rm -rf /.data/proxy ;; esac
        }

        cd /
        whole nothing
        sed -n 's/.*s\] \(.*\) completed$/\1/p' /tmp/out | grep -v '^startup$' > /tmp/steps
        count=0 before=exec
        while read -r step; do
            start TERM "$before"
            grep -q 'stopped, exit code' /tmp/out || fail "no orderly stop at $step"
            # The last steps are done before a signal is taken notice of: then the agent was up, an sh that TERM ends.
            case $code in
                0) grep -q 'startup interrupted' /tmp/out || fail "not interrupted at $step" ;;
                143) grep -q 'agent-api started' /tmp/out && [ $count -gt 13 ] || fail "TERM at $step gave $code" ;;
                *) fail "TERM at $step gave $code" ;;
            esac
            forget "$step"
            start KILL "$before"
            ! grep -q 'stopped, exit code' /tmp/out || fail "KILL at $step came too late"
            whole "KILL at $step"
            count=$((count + 1)) before=$step
        done < /tmp/steps
        echo "met $count steps"
        """;
}
