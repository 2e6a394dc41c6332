using Discobot.Infrastructure.Native;

namespace Discobot.Features.Init.Checks;

/// <summary>Has each client of the image fetch an https page, with the variables that a login shell gets. Any answer will do, even an
/// error page: what is asked is whether the client goes through the proxy and trusts it.</summary>
/// <param name="tools">Runs them.</param>
/// <param name="path">The PATH to look on.</param>
/// <param name="url">What they fetch.</param>
/// <param name="user">Who runs them, when that is root here: they may be the agent's own programs. Null stays who it is.</param>
internal sealed class DoctorClients(ToolRun tools, string path, string url, UserRecord? user = null)
{
    private const string Python = """
        import sys, urllib.request, urllib.error
        try: urllib.request.urlopen(sys.argv[1], timeout=15)
        except urllib.error.HTTPError: pass
        """;

    // By hand, as proxy libraries do it: Node's own fetch takes notice of HTTPS_PROXY from version 24 on.
    private const string Node = """
        const u = new URL(process.argv[1]), p = new URL(process.env.HTTPS_PROXY), host = `${u.hostname}:${u.port || 443}`;
        const fail = e => { console.error(e.message); process.exit(1) };
        require('http').request({ host: p.hostname, port: p.port, method: 'CONNECT', path: host, headers: { host } }).on('error', fail)
            .on('connect', (a, socket) => require('tls').connect({ socket, servername: u.hostname }, () => process.exit(0)).on('error', fail)).end();
        """;

    private const string Java =
        "class T { public static void main(String[] a) throws Exception { ((java.net.HttpURLConnection) new java.net.URL(a[0]).openConnection()).getResponseCode(); } }";

    private const string Past = "goes past the proxy: HTTPS_PROXY does not name it";

    // Whom the user has excepted from the proxy is to be asked through it here all the same.
    private const string Shell = $$"""
        for f in /etc/profile.d/discobot-proxy.sh /etc/profile; do [ -r $f ] && { p=$PATH; . $f; PATH=$p; break; }; done
        export GIT_TERMINAL_PROMPT=0 NO_PROXY={{ProxyEnvironment.Local}} no_proxy={{ProxyEnvironment.Local}}
        case $0,$HTTPS_PROXY in docker,*|*,http://localhost:*) exec "$@";; esac
        echo '{{Past}}' >&2; exit 1
        """;

    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(20);

    // A page that is no repository, or not there, is an answer as well. Java compiles the source only where the image has a compiler.
    private IReadOnlyList<Client> Clients =>
    [
        new("curl", ["curl", "-sS", "-o", "/dev/null", url], "point CURL_CA_BUNDLE at the system's bundle"),
        new("wget", ["wget", "-q", "-O", "/dev/null", url], "make the system trust the CA: discobot trust install", Answers: ["error response", "server returned error"]),
        new("git", ["git", "-c", "credential.helper=", "ls-remote", url], "point GIT_SSL_CAINFO at the system's bundle", Answers: ["not found", "not valid: is this a git repository", "Authentication failed"]),
        new("python3", ["python3", "-c", Python, url], "point SSL_CERT_FILE at the system's bundle"),
        new("node", ["node", "-e", Node, url], "set NODE_EXTRA_CA_CERTS=/.data/proxy/certs/ca.crt"),
        new("java", ["sh", "-c", "d=$(mktemp -d); printf %s \"$0\" > $d/T.java; java $d/T.java \"$1\"; code=$?; rm -r $d; exit $code", Java, url],
            "set JAVA_TOOL_OPTIONS as /etc/profile.d/discobot-proxy.sh does", Unknown: "jdk.compiler"),
        new("docker", ["docker", "info"], "read the lines of the Docker daemon in `docker logs`", Detail: "the daemon answers"),
    ];

    /// <summary>One finding a client; those that the image lacks are told as such.</summary>
    public async Task<IReadOnlyList<Finding>> TryAllAsync(CancellationToken cancellationToken)
        => await Task.WhenAll(Clients.Select(client => TryAsync(client, cancellationToken)));

    private async Task<Finding> TryAsync(Client client, CancellationToken cancellationToken)
    {
        if (!path.Split(':').Any(directory => File.Exists(Path.Combine(directory, client.Name))))
            return new Finding("client", client.Name, null, "not in this image", null);
        var said = new List<string>();
        var launch = new Launch(client.Name, ["/bin/sh", "-c", Shell, client.Name, .. client.Command]) { User = user?.Name, Environment = Own() };
        var result = await tools.RunAsync(launch, Limit, said.Add, cancellationToken);
        if (client.Unknown is { } unknown && said.Exists(line => line.Contains(unknown, StringComparison.Ordinal)))
            return new Finding("client", client.Name, null, "without a compiler: cannot be tried", null);
        var works = result.Succeeded || (!result.TimedOut && said.Exists(client.IsAnswer));
        var reason = result.TimedOut ? "no answer within 20 s" : said.LastOrDefault(line => line.Length > 0) ?? $"exit code {result.ExitCode}";
        return new Finding("client", client.Name, works, works ? client.Detail ?? "goes through the proxy and trusts it" : reason,
            works ? null : reason == Past ? Doctor.Restart : client.Fix);
    }

    private Dictionary<string, string> Own()
    {
        var environment = ByteText.OwnEnvironment();
        if (user is not null)
            (environment["HOME"], environment["USER"], environment["LOGNAME"]) = (user.Home, user.Name, user.Name);
        return environment;
    }

    /// <param name="Name">The program looked for on PATH.</param>
    /// <param name="Command">What is run.</param>
    /// <param name="Fix">What to do when it fails.</param>
    /// <param name="Detail">What its success means; that the page was reached when null.</param>
    /// <param name="Answers">What a failure says that is an answer of the server.</param>
    /// <param name="Unknown">What it says where it cannot be tried.</param>
    private sealed record Client(string Name, string[] Command, string Fix, string? Detail = null, string[]? Answers = null, string? Unknown = null)
    {
        public bool IsAnswer(string line) => Answers?.Any(answer => line.Contains(answer, StringComparison.OrdinalIgnoreCase)) ?? false;
    }
}
