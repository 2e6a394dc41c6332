using System.Diagnostics;
using System.Security.Cryptography.X509Certificates;
using Discobot.Infrastructure.Native;

namespace Discobot.Tests.Fixtures;

/// <summary>
/// What a kubelet and a network plugin make of two pods, by namespaces of this machine: each has one interface, a root that nobody writes to but where it has
/// a volume, and no capability; the node between them passes packets on, translates the service's address and lets out of the agent's pod what a
/// policy says. Beyond the node is the world outside (tests.integration/Tools/outside.py). Needs root.
/// </summary>
internal sealed class PodNetwork : IDisposable
{
    public const string Gateway = "10.244.0.2";
    private const string Agent = "10.244.0.6";

    private const string Root = """
        set -e; cd "$1/$2"; shift 2
        mkdir -p usr proc dev etc/ssl/certs etc/discobot tmp opt/discobot/lib opt/discobot/bin opt/dotnet .data trust
        for d in bin sbin lib lib64; do if [ -L /$d ]; then cp -a /$d .; elif [ -d /$d ]; then mkdir $d; fi; done
        for f in alternatives ld.so.cache ld.so.conf ld.so.conf.d nsswitch.conf ssl/openssl.cnf; do [ ! -e /etc/$f ] || cp -a /etc/$f etc/$f; done
        cp -L /etc/ssl/certs/ca-certificates.crt etc/ssl/certs/ || : > etc/ssl/certs/ca-certificates.crt
        printf '127.0.0.1 localhost\n' > etc/hosts; printf 'nameserver %s\n' $1 > etc/resolv.conf
        printf 'root:x:0:0::/root:/bin/sh\ndiscobot:x:1000:1000::/home/discobot:/bin/sh\n' > etc/passwd
        printf '#!/bin/sh\nexec /opt/discobot/lib/discobot "$@"\n' > opt/discobot/bin/discobot; chmod 755 opt/discobot/bin/discobot
        """;

    // $1 this directory, $2 outside.py, $3 the program's files, $4 the runtime, $5 the node's rules.
    private const string Node = """
        set -e; dir=$1; outside=$2; program=$3; runtime=$4; rules=$5; exec 2> $dir/node.log; mount -t proc proc /proc; ip link set lo up; echo 1 > /proc/sys/net/ipv4/ip_forward
        unshare -n -m -u sh -c 'set -e; hostname outside; mount --bind $0/hosts /etc/hosts; ip link set lo up; : > $0/a; while ! ip link show o >/dev/null 2>&1; do sleep 0.02; done
            ip address add 10.55.0.1/24 dev o; ip link set o up; exec python3 $1 $0' $dir $outside >$dir/outside.log 2>&1 &
        world=$!
        for pod in gateway agent; do
            unshare -n -m sh -c 'set -e; cd $0/$1; mount --bind . .; cd $0/$1
                for d in usr bin sbin lib lib64; do [ -L /$d ] || [ ! -d /$d ] || { mount --bind /$d $d; mount -o remount,bind,ro $d; }; done
                mount --bind $2 opt/discobot/lib; mount --bind $3 opt/dotnet; mount --rbind /dev dev; mount -t proc proc proc
                for d in .data trust tmp; do mount -t tmpfs -o mode=775,gid=1000 tmpfs $d; done; mount -o remount,bind,ro .
                ip link set lo up; : > $0/$1.up; exec sleep infinity' $dir $pod $program $runtime >/dev/null &
            echo $! > $dir/$pod.pid
        done
        while [ ! -e $dir/a ] || [ ! -e $dir/gateway.up ] || [ ! -e $dir/agent.up ]; do sleep 0.02; done
        ip link add name uplink type veth peer name o netns $world; ip address add 10.55.0.2/24 dev uplink; ip link set uplink up
        wire() {
            ip link add name $1 type veth peer name eth0 netns $(cat $dir/$1.pid); ip address add $3/30 dev $1; ip link set $1 up
            nsenter -t $(cat $dir/$1.pid) -n sh -ec 'ip address add $0/30 dev eth0; ip link set eth0 up; ip route add default via $1; echo 1 > /proc/sys/net/ipv4/ip_forward' $2 $3
        }
        wire gateway 10.244.0.2 10.244.0.1; wire agent 10.244.0.6 10.244.0.5
        printf %s "$rules" | nft -f -
        while [ ! -e $dir/packets ]; do sleep 0.02; done; : > $dir/ready; exec sleep infinity
        """;

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);
    private readonly string _directory = Directory.CreateTempSubdirectory("pods-").FullName;
    private readonly TestAuthority _outside = new();
    private Process? _node;
    private Process? _gateway;

    /// <param name="hosts">Whom the world outside has a certificate for.</param>
    public PodNetwork(params string[] hosts)
    {
        Assert.True(Environment.IsPrivilegedProcess, "this test makes network namespaces: run it as root");
        using var certificate = _outside.Issue(hosts);
        using var key = certificate.GetECDsaPrivateKey()!;
        File.WriteAllText(At("server.crt"), certificate.ExportCertificatePem());
        File.WriteAllText(At("server.key"), key.ExportPkcs8PrivateKeyPem());
        File.WriteAllText(At("hosts"), "10.55.0.1 outside\n127.0.0.1 localhost\n");
    }

    /// <summary>Of whoever answers outside.</summary>
    public string Authority => _outside.Pem;

    /// <param name="service">The address that leads to the gateway's pod.</param>
    /// <param name="ports">Those that the service has, as <c>tcp 80</c>.</param>
    /// <param name="allowed">Those of the gateway's pod that the agent's policy lets it reach, and nothing else.</param>
    public async Task StartAsync(string service, string[] ports, string[] allowed)
    {
        foreach (var (pod, servers) in (ReadOnlySpan<(string, string)>)[("gateway", "10.55.0.1"), ("agent", service)])
        {
            Directory.CreateDirectory(At(pod));
            Assert.Equal("", Run(["sh", "-c", Root, "sh", _directory, pod, servers]));
        }

        var rules = $$"""
            table ip node {
                chain service { type nat hook prerouting priority -100; {{string.Concat(ports.Select(p => $"ip daddr {service} {p.Replace(" ", " dport ", StringComparison.Ordinal)} dnat to {Gateway}; "))}} }
                chain out { type nat hook postrouting priority 100; oifname "uplink" masquerade; }
                chain allow { type filter hook forward priority 0; ct state established,related accept; ip saddr != {{Agent}} accept
                    {{string.Concat(allowed.Select(p => $"ip daddr {Gateway} {p.Replace(" ", " dport ", StringComparison.Ordinal)} accept; "))}} drop; }
            }
            """;
        _node = Process.Start(new ProcessStartInfo("unshare", ["-n", "-m", "-p", "-f", "--kill-child", "sh", "-c", Node, "sh", _directory,
            Path.Combine(Checkout.Top(), "tests.integration/Tools/outside.py"), Executable.Directory, Executable.Runtime, rules]))!;
        for (var watch = Stopwatch.StartNew(); !File.Exists(At("ready")); await Task.Delay(20))
            Assert.True(watch.Elapsed < Patience && !_node.HasExited, File.Exists(At("node.log")) ? await File.ReadAllTextAsync(At("node.log")) : "");
    }

    /// <summary>A file of the gateway's pod.</summary>
    public void Put(string path, string text) => File.WriteAllText(At($"gateway/{path}"), text);

    /// <summary>Starts what the gateway's pod is to run, as its user.</summary>
    public void StartGateway(string user, string[] words) => _gateway = Process.Start(new ProcessStartInfo("nsenter", In("gateway", user, words)) { RedirectStandardError = true, RedirectStandardOutput = true })!;

    /// <summary>Asks it to end, as a kubelet does.</summary>
    public async Task<(int Code, string Said)> StopGatewayAsync()
    {
        Assert.Equal(0, Libc.Kill(ProcessTree.Read().ChildrenOf(_gateway!.Id).First(), (int)Signal.Terminate));
        using var limit = new CancellationTokenSource(Patience);
        var said = string.Concat(await Task.WhenAll(_gateway.StandardOutput.ReadToEndAsync(limit.Token), _gateway.StandardError.ReadToEndAsync(limit.Token)));
        await _gateway.WaitForExitAsync(limit.Token);
        return (_gateway.ExitCode, said);
    }

    /// <summary>Runs words in the agent's pod, as its user.</summary>
    public string AsAgent(string user, params string[] words) => Run(["nsenter", .. In("agent", user, words)]);

    /// <summary>Runs sh on the node.</summary>
    public string OnNode(string script) => Run(["nsenter", "-t", $"{Inner}", "-n", "sh", "-c", script]);

    /// <summary>Runs sh as root beside a pod's root, with its mounts and its network.</summary>
    public string Beside(string pod, string script) => Run(["nsenter", "-t", $"{ProcessOf(pod)}", "-m", "-n", "sh", "-c", $"cd {At(pod)}; {script}"]);

    /// <summary>What has arrived outside: protocol, destination and port of each packet.</summary>
    public string[] Packets() => [.. File.ReadAllLines(At("packets")).Select(line => line[(line.IndexOf(' ', StringComparison.Ordinal) + 1)..])];

    public void Dispose()
    {
        foreach (var process in (Process?[])[_gateway, _node])
        {
            if (process is { HasExited: false })
            {
                process.Kill(entireProcessTree: true);
                process.WaitForExit();
            }

            process?.Dispose();
        }

        _outside.Dispose();
        Directory.Delete(_directory, true);
    }

    private string At(string name) => Path.Combine(_directory, name);

    // Process 1 has started the world outside, the gateway's pod and the agent's, in this order.
    private int ProcessOf(string pod) => ProcessTree.Read().ChildrenOf(Inner).Order().ElementAt(pod == "gateway" ? 1 : 2);

    private int Inner => ProcessTree.Read().ChildrenOf(_node!.Id).First();

    private string[] In(string pod, string user, string[] words) =>
    [
        "-t", $"{ProcessOf(pod)}", "-m", "-n", "-p", "chroot", At(pod),
        "setpriv", "--reuid", user, "--regid", user, "--clear-groups", "--bounding-set", "-all", "--inh-caps", "-all", "--no-new-privs",
        "env", "-i", "PATH=/opt/discobot/bin:/usr/bin:/bin", "DOTNET_ROOT=/opt/dotnet", "DOTNET_EnableDiagnostics=0", .. words,
    ];

    private static string Run(string[] command)
    {
        using var process = Process.Start(new ProcessStartInfo(command[0], command[1..]) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        var errors = process.StandardError.ReadToEndAsync();
        var said = process.StandardOutput.ReadToEnd();
        Assert.True(process.WaitForExit(Patience));
        return said + errors.Result;
    }
}
