using Discobot.Infrastructure.Native;
using Discobot.Tests.Fixtures;

namespace Discobot.Features.Init;

/// <summary>The whole init in namespaces, with an uplink that leads nowhere and counts what the agent's user sends.</summary>
public sealed class EgressProcessTests : IDisposable
{
    // $UP is its name.
    private const string Uplink = """
        ip link add $UP type veth peer name far; ip link set far up; ip address add 192.0.2.1/24 dev $UP; ip link set $UP up; ip route add default via 192.0.2.254
        ip neigh add 192.0.2.254 lladdr 02:00:00:00:00:01 dev $UP nud permanent
        nft "add table inet recorder; add chain inet recorder sent { type filter hook postrouting priority 500; }; add rule inet recorder sent oifname $UP meta skuid 1000 counter"
        """;

    // Datagrams, until some were refused and on.
    private const string Sender = """
        import signal, socket, time
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); refused = 0
        while True:
            try: s.sendto(b"x", ("203.0.113.9", 99))
            except OSError: refused += 1
            if refused == 3: print("datagrams are refused", flush=True)
            time.sleep(0.02)
        """;

    private readonly Enclosure _inside = new();

    public EgressProcessTests()
    {
        _inside.Prepare("mkdir -p $1/etc/discobot; printf 'egress: {mode: enforce}\\nallowlist: {enabled: true}\\n' > $1/etc/discobot/policy.yaml");
        _inside.Before = $"UP=eth0\n{Uplink}";
    }

    public void Dispose() => _inside.Dispose();

    [Theory, InlineData("docker0"), InlineData("br-up")]
    public async Task An_uplink_that_has_the_name_of_a_network_of_Dockers_lets_nothing_out(string name)
    {
        _inside.Before = $"UP={name}\n{Uplink}";
        _inside.Agent($"exec /usr/bin/python3 - <<'END'\n{Sender}\nEND");
        await _inside.StartAsync();
        await _inside.SeeAsync("datagrams are refused");
        Assert.Equal("0", await SentAsync());
    }

    [Theory]
    [InlineData("1000", "discobot")]
    [InlineData("997", "discobot-proxy")]
    public async Task An_agent_that_has_the_number_of_the_proxys_user_is_not_started(string number, string agent)
    {
        _inside.Prepare($"echo 'discobot-proxy:x:{number}:997::/home/discobot:/bin/sh' >> $1/etc/passwd; echo 'discobot-proxy:x:997:' >> $1/etc/group");
        _inside.Environment["AGENT_USER"] = agent;
        _inside.Agent("echo agent ready");
        Assert.Equal(1, await _inside.RunAsync());
        Assert.Contains($"egress.mode enforce cannot be kept: the agent has the number of the proxy's own user ({number})", _inside.Output, StringComparison.Ordinal);
        Assert.DoesNotContain("agent ready", _inside.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Where_nothing_can_be_taken_from_the_agent_for_good_it_is_not_started_and_the_start_names_the_capability()
    {
        _inside.Under = ["setpriv", "--bounding-set=-setpcap", "--inh-caps=-setpcap"];
        _inside.Agent("echo agent ready");
        Assert.Equal(1, await _inside.RunAsync());
        Assert.Contains("egress.mode enforce cannot be kept: what would undo it cannot be taken from the agent; run the container with --cap-add SETPCAP", _inside.Output, StringComparison.Ordinal);
        Assert.DoesNotContain("agent ready", _inside.Output, StringComparison.Ordinal);
    }

    /// <summary>It is no process 1 here, so what it had started goes on without it. The second start, in the same network, finds it closed.</summary>
    [Fact]
    public async Task An_init_that_is_killed_sets_nobody_free()
    {
        // Before Linux 6.9 no table outlives who has set it; the agent itself goes with the init even so.
        var stays = Environment.OSVersion.Version >= new Version(6, 9);
        _inside.Under = ["sh", "-c", "unshare -m --propagation unchanged \"$@\"; echo first is over; [ \"$STAYS\" = no ] || \"$@\"; /usr/sbin/nft list table inet discobot 2>&1 || :", "sh"];
        _inside.Environment["STAYS"] = stays ? "yes" : "no";
        _inside.Program("/usr/local/bin/sender", $"exec /usr/bin/python3 - <<'END'\n{Sender}\nEND");
        _inside.Agent("echo $$ > /tmp/agent; setsid sender & exec sender");
        await _inside.StartAsync();
        await _inside.SeeAsync("datagrams are refused", times: 2);
        var agent = (await _inside.ShellAsync("cat /tmp/agent")).Trim();
        _inside.Send(Signal.Kill, generation: 1);
        await _inside.SeeAsync("first is over");
        var said = await _inside.ShellAsync($"while [ -e /proc/{agent} ]; do sleep 0.05; done");
        Assert.True(said.Length == 0, said + _inside.Output);
        if (!stays)
            return;
        await _inside.SeeAsync("the rules of an init that was killed are there");
        await _inside.SeeAsync("datagrams are refused", times: 4);
        Assert.Equal("0", await SentAsync());
        await _inside.ShellAsync("pkill -TERM -x -f '/opt/discobot/lib/discobot init'");
        await _inside.EndAsync();
        Assert.Contains("No such file or directory", _inside.Output[_inside.Output.LastIndexOf("stopped, exit code", StringComparison.Ordinal)..], StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_agent_in_the_proxys_group_is_told_of_and_does_not_read_what_the_proxy_is_told()
    {
        _inside.Prepare("echo 'discobot-proxy:x:995:995::/:/bin/false' >> $1/etc/passwd; echo 'discobot-proxy:x:995:discobot' >> $1/etc/group");
        _inside.Agent("cat /.data/proxy/config.yaml; echo code $?");
        Assert.Equal(0, await _inside.RunAsync());
        Assert.Contains("warning: discobot is in the proxy's group (995)", _inside.Output, StringComparison.Ordinal);
        Assert.Contains("\ncode 1\n", _inside.Said, StringComparison.Ordinal);
    }

    [Theory, InlineData(""), InlineData(", no_new_privs: false")]
    public async Task The_agent_has_no_family_of_sockets_that_the_rules_do_not_see(string more)
    {
        _inside.Prepare($"printf 'egress: {{mode: enforce{more}}}\\nallowlist: {{enabled: true}}\\n' > $1/etc/discobot/policy.yaml");
        _inside.Agent("""
            /usr/bin/python3 -c '
            import errno, socket
            for family in (40, 38, 2):
                try: socket.socket(family, socket.SOCK_STREAM if family != 38 else socket.SOCK_SEQPACKET).close(); print("has", family)
                except OSError as e: print(errno.errorcode[e.errno], family)'
            """);
        Assert.Equal(0, await _inside.RunAsync());
        Assert.Contains("\nEAFNOSUPPORT 40\nEAFNOSUPPORT 38\nhas 2\n", _inside.Said, StringComparison.Ordinal);
    }

    private async Task<string> SentAsync()
        => (await _inside.ShellAsync("/usr/sbin/nft list chain inet recorder sent | sed -n 's/.*counter packets \\([0-9]*\\).*/\\1/p'")).Trim();
}
