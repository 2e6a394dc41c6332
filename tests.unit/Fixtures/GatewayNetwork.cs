using System.Diagnostics;
using System.Security.Cryptography.X509Certificates;
using Discobot.Infrastructure.Native;

namespace Discobot.Tests.Fixtures;

/// <summary>
/// The executable as a gateway, process 1 between two networks: that of an agent, 172.28.0.0/24 and fd00:28::/64, which has no other way out, and the
/// world outside (tests.integration/Tools/outside.py), 10.55.0.1, which answers for every name. Needs root.
/// </summary>
internal sealed class GatewayNetwork : IDisposable
{
    public const string Address = "172.28.0.2";
    public const string Address6 = "fd00:28::2";

    /// <summary>What most tests let out.</summary>
    public const string Allowed = "allowlist: {enabled: true, allow_private: true, domains: [allowed.test, {host: database.test, ports: [5432]}]}";

    // $1 this directory, $2 outside.py, $3 the agent's default route, $4 whether it forwards, and then what is run.
    private const string Enter = """
        set -e; dir=$1; outside=$2; route=$3; sysctl -qw net.ipv4.ip_forward=$4 net.ipv6.conf.all.forwarding=$4; shift 4
        mount -t proc proc /proc; ip link set lo up
        unshare -n -m -u sh -c 'set -e; hostname outside; mount --bind $0/hosts /etc/hosts; ip link set lo up; : > $0/a; while ! ip link show o >/dev/null 2>&1; do sleep 0.02; done
            ip address add 10.55.0.1/24 dev o; ip link set o up; exec python3 $1 $0' $dir $outside >$dir/outside.log 2>&1 &
        world=$!
        unshare -n -m sh -c 'set -e; mount --bind $0/resolv.agent /etc/resolv.conf; ip link set lo up; : > $0/b; while ! ip link show eth0 >/dev/null 2>&1; do sleep 0.02; done
            ip address add 172.28.0.3/24 dev eth0; ip -6 address add fd00:28::3/64 dev eth0 nodad; ip link set eth0 up
            [ -z "$1" ] || { ip route add default via 172.28.0.2; ip -6 route add default via fd00:28::2; }; : > $0/c; exec sleep infinity' $dir "$route" >/dev/null &
        echo $! > $dir/agent
        while [ ! -e $dir/a ] || [ ! -e $dir/b ]; do sleep 0.02; done
        ip link add name uplink type veth peer name o netns $world; ip link add name inside type veth peer name eth0 netns $(cat $dir/agent)
        ip address add 10.55.0.2/24 dev uplink; ip link set uplink up; ip route add default via 10.55.0.1
        ip address add 172.28.0.2/24 dev inside; ip -6 address add fd00:28::2/64 dev inside nodad; ip link set inside up
        while [ ! -e $dir/c ] || [ ! -e $dir/packets ]; do sleep 0.02; done
        mount --bind $dir/resolv.gateway /etc/resolv.conf
        exec "$@"
        """;

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);
    private readonly string _directory = Directory.CreateTempSubdirectory("gateway-").FullName;
    private readonly TestAuthority _outside = new();
    private Process? _process;

    public GatewayNetwork()
    {
        Assert.True(Environment.IsPrivilegedProcess, "this test makes network namespaces: run it as root");
        using var certificate = _outside.Issue(["allowed.test", "database.test", "forbidden.test"]);
        Put("server.crt", certificate.ExportCertificatePem());
        using var key = certificate.GetECDsaPrivateKey()!;
        Put("server.key", key.ExportPkcs8PrivateKeyPem());
        Put("extra.pem", _outside.Pem);
        Put("hosts", "10.55.0.1 outside\n127.0.0.1 localhost\n");
        Put("resolv.gateway", "nameserver 10.55.0.1\n");
        Put("resolv.agent", $"nameserver {Address}\n");
    }

    public string At(string name) => Path.Combine(_directory, name);

    /// <summary>Starts it and, unless it is to fail, waits until it serves.</summary>
    /// <param name="sections">Of the configuration, beside <c>tls</c>, <c>cache</c> and <c>api</c>.</param>
    /// <param name="options">Of the command.</param>
    /// <param name="isRouted">Whether the agent's default route leads to it.</param>
    /// <param name="isApiOpen">Whether <c>api.protect</c> asks nobody for the token.</param>
    /// <param name="forwards">Whether its machine passes on packets, as a container does that is made with Docker's defaults.</param>
    /// <param name="under">What is put before the executable.</param>
    public async Task StartAsync(string sections = Allowed, string[]? options = null, bool isRouted = false, bool isApiOpen = false, bool forwards = false, string[]? under = null, bool fails = false)
    {
        Put("config.yaml", $"tls: {{extra_ca: [{At("extra.pem")}]}}\ncache: {{dir: {At("cache")}}}\napi: {{token_file: {At("api.token")}{(isApiOpen ? ", protect: none" : "")}}}\n{sections}\n");
        var runtime = Executable.Runtime;
        string[] command =
        [
            "-n", "-m", "-p", "-f", "--kill-child", "sh", "-c", Enter, "sh", _directory, Path.Combine(Checkout.Top(), "tests.integration/Tools/outside.py"), isRouted ? "default" : "", forwards ? "1" : "0",
            "env", "-u", "CONFIG_FILE", $"DOTNET_ROOT={runtime}", "DOTNET_EnableDiagnostics=0", .. under ?? [],
            Executable.Path, "gateway", "-config", At("config.yaml"), "--cert-dir", At("certs"), "--log-file", At("log"), .. options ?? [],
        ];
        _process = Process.Start(new ProcessStartInfo("unshare", command) { RedirectStandardError = true })!;
        if (!fails)
            await SeeAsync("ready ");
    }

    /// <summary>Waits for its end.</summary>
    public async Task<(int Code, string Errors)> EndAsync()
    {
        using var limit = new CancellationTokenSource(Patience);
        var errors = await _process!.StandardError.ReadToEndAsync(limit.Token);
        await _process.WaitForExitAsync(limit.Token);
        return (_process.ExitCode, errors);
    }

    /// <summary>Waits until its log has a text.</summary>
    public async Task<string> SeeAsync(string text)
    {
        var watch = Stopwatch.StartNew();
        for (; ; )
        {
            var log = File.Exists(At("log")) ? await File.ReadAllTextAsync(At("log")) : "";
            if (log.Contains(text, StringComparison.Ordinal))
                return log;
            Assert.True(watch.Elapsed < Patience && !_process!.HasExited, $"never seen: {text}\n{log}{(_process!.HasExited ? await _process.StandardError.ReadToEndAsync() : "")}");
            await Task.Delay(20);
        }
    }

    public void Send(Signal signal) => Assert.Equal(0, Libc.Kill(Inner(), (int)signal));

    /// <summary>Runs sh where the agent is, with no variable that tells of a proxy.</summary>
    public Task<string> AsAgentAsync(string script) => RunAsync(["nsenter", "-t", File.ReadAllText(At("agent")).Trim(), "-n", "-m", "sh", "-c", script]);

    /// <summary>Runs sh beside the gateway.</summary>
    public Task<string> AsGatewayAsync(string script) => RunAsync(["sh", "-c", script]);

    /// <summary>Takes the network between the gateway and the agent away, and makes it anew.</summary>
    public async Task ReplaceAsync() => Assert.Equal("", await AsGatewayAsync($$"""
        set -e; agent=$(cat {{At("agent")}}); route=$(nsenter -t $agent -n ip route show default)
        ip link del inside
        ip link add name inside type veth peer name eth0 netns $agent
        ip address add 172.28.0.2/24 dev inside; ip -6 address add fd00:28::2/64 dev inside nodad; ip link set inside up
        nsenter -t $agent -n sh -ec 'ip address add 172.28.0.3/24 dev eth0; ip -6 address add fd00:28::3/64 dev eth0 nodad; ip link set eth0 up
            [ -z "$1" ] || { ip route add default via 172.28.0.2; ip -6 route add default via fd00:28::2; }' sh "$route"
        """));

    /// <summary>What has arrived outside: protocol, destination and port of each packet.</summary>
    public string[] Packets() => [.. File.ReadAllLines(At("packets")).Select(line => line[(line.IndexOf(' ', StringComparison.Ordinal) + 1)..])];

    /// <summary>Every name that was asked for outside.</summary>
    public string[] Names() => File.ReadAllLines(At("names"));

    public void Dispose()
    {
        if (_process is { HasExited: false })
        {
            _process.Kill(entireProcessTree: true);
            _process.WaitForExit();
        }

        _process?.Dispose();
        _outside.Dispose();
        Directory.Delete(_directory, true);
    }

    private async Task<string> RunAsync(string[] command)
    {
        var info = new ProcessStartInfo("nsenter", ["-t", $"{Inner()}", "-m", "-p", "-n", .. command]) { RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (var name in info.Environment.Keys.Where(name => name.EndsWith("_proxy", StringComparison.OrdinalIgnoreCase)).ToList())
            info.Environment.Remove(name);
        using var process = Process.Start(info)!;
        return string.Concat(await Task.WhenAll(process.StandardOutput.ReadToEndAsync(), process.StandardError.ReadToEndAsync()));
    }

    private void Put(string name, string text) => File.WriteAllText(At(name), text);

    private int Inner() => ProcessTree.Read().ChildrenOf(_process!.Id).First();
}
