using System.Net;
using System.Text.RegularExpressions;
using Discobot.Infrastructure.Native;

namespace Discobot.Features.Init.Checks;

/// <summary>Has each client of the image fetch a page, with the variables that a login shell gets. Any answer will do, even an
/// error page: what is asked is whether the client goes through the proxy and trusts it.</summary>
/// <param name="tools">Runs them.</param>
/// <param name="path">The PATH to look on.</param>
/// <param name="paths">Where Docker's socket is.</param>
/// <param name="proxy">The proxy they should use, and what they fetch.</param>
/// <param name="trust">Whether its authority is trusted.</param>
/// <param name="isLed">Finds out whether what goes past the proxy is led to it all the same.</param>
/// <param name="user">Who runs them, when that is root here: they may be the agent's own programs. Null stays who it is.</param>
internal sealed partial class DoctorClients(
    ToolRun tools, string path, ContainerPaths paths, SeenProxy proxy, SeenTrust trust, Func<CancellationToken, Task<bool>> isLed, UserRecord? user = null)
{
    private const string Python = """
        import sys, urllib.request, urllib.error
        try: urllib.request.urlopen(sys.argv[1], timeout=15)
        except urllib.error.HTTPError: pass
        """;

    // By hand, as proxy libraries do it: Node's own fetch takes notice of HTTPS_PROXY from version 24 on.
    private const string Node = """
        const u = new URL(process.argv[1]), tls = u.protocol == 'https:', host = `${u.hostname}:${u.port || 443}`;
        const named = tls ? process.env.https_proxy || process.env.HTTPS_PROXY : process.env.http_proxy || process.env.HTTP_PROXY;
        const fail = e => { console.error(e.message); process.exit(1) }, done = () => process.exit(0), p = named && new URL(named);
        const way = p && { host: p.hostname, port: p.port };
        if (!p) require(tls ? 'https' : 'http').get(u, done).on('error', fail);
        else if (!tls) require('http').get({ ...way, path: u.href, headers: { host: u.host } }, done).on('error', fail);
        else require('http').request({ ...way, method: 'CONNECT', path: host, headers: { host } }).on('error', fail)
            .on('connect', (a, socket) => a.statusCode != 200 ? fail({ message: `CONNECT: ${a.statusCode} ${a.statusMessage}` })
                : require('tls').connect({ socket, servername: u.hostname }, done).on('error', fail)).end();
        """;

    private const string Java =
        "class T { public static void main(String[] a) throws Exception { ((java.net.HttpURLConnection) new java.net.URL(a[0]).openConnection()).getResponseCode(); } }";

    // Of two kinds: one shows nothing when it is told to be quiet, the other knows nothing less quiet than that.
    private const string Wget = "if wget --version > /dev/null 2>&1; then wget -nv -O /dev/null \"$0\"; else wget -q -O /dev/null \"$0\"; fi";

    private const string Mark = "\u0001";

    // $0 where the proxy is, as a pattern of sed; $1 where its witness is; $2 the variable of the client's authorities. Whom the user has
    // excepted from the proxy is to be asked through it here all the same.
    private const string Shell = $$"""
        for f in /etc/profile.d/discobot-proxy.sh /etc/profile; do [ -r $f ] && { p=$PATH; . $f; PATH=$p; break; }; done
        export GIT_TERMINAL_PROMPT=0 NO_PROXY={{ProxyEnvironment.Local}} no_proxy={{ProxyEnvironment.Local}}
        at=$0 seen=$1 authorities=$2; shift 2
        for v in HTTP_PROXY HTTPS_PROXY ALL_PROXY http_proxy https_proxy all_proxy JAVA_TOOL_OPTIONS; do
            eval "old=\${$v-}"; [ -n "$old" ] || continue
            new=$(printf '%s\n' "$old" | sed -e "s,\(localhost\|127\.0\.0\.1\|\[::1\]\):$at\$,127.0.0.1:$seen," -e "s,\(localhost\|127\.0\.0\.1\|\[::1\]\):$at/,127.0.0.1:$seen/," \
                -e "s,proxyPort=$at\$,proxyPort=$seen," -e "s,proxyPort=$at ,proxyPort=$seen ,g")
            [ "$old" = "$new" ] || export "$v=$new"
        done
        eval "printf '{{Mark}}%s\n' \"\${$authorities-}\""
        exec "$@"
        """;

    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(20);

    /// <summary>Where distributions have it, also when this user's PATH does not name them.</summary>
    private static readonly string[] DaemonDirectories = ["/usr/sbin", "/usr/local/sbin", "/sbin"];

    // A page that is no repository, or not there, is an answer as well. Java compiles the source only where the image has a compiler.
    private IReadOnlyList<TriedClient> Clients =>
    [
        new("curl", ["curl", "-sS", "-o", "/dev/null", proxy.Url]) { Complaint = "curl: (", Authorities = "CURL_CA_BUNDLE" },
        new("wget", ["sh", "-c", Wget, proxy.Url]) { Answers = ["error response", "server returned error", " ERROR "] },
        new("git", ["git", "-c", "credential.helper=", "ls-remote", proxy.Url])
        {
            Complaint = "fatal: ",
            Authorities = "GIT_SSL_CAINFO",
            Answers = ["not found", "not valid: is this a git repository", "Authentication failed", "The requested URL returned error", "could not read Username"],
        },
        new("python3", ["python3", "-c", Python, proxy.Url]) { Authorities = "SSL_CERT_FILE" },
        new("node", ["node", "-e", Node, proxy.Url]) { Authorities = "NODE_EXTRA_CA_CERTS" },
        new("java", ["sh", "-c", "d=$(mktemp -d); printf %s \"$0\" > $d/T.java; java $d/T.java \"$1\"; code=$?; rm -r $d; exit $code", Java, proxy.Url])
        {
            Complaint = "Exception in thread",
            Unknown = "jdk.compiler not found",
            Authorities = "JAVA_TOOL_OPTIONS",
        },
    ];

    /// <summary>One finding a client; those that the image lacks are told as such.</summary>
    public async Task<IReadOnlyList<Finding>> TryAllAsync(CancellationToken cancellationToken)
        => await Task.WhenAll(Clients.Select(client => TryAsync(client, cancellationToken)).Append(DockerAsync(cancellationToken)));

    private async Task<Finding> TryAsync(TriedClient client, CancellationToken cancellationToken)
    {
        if (!IsHere(client.Name))
            return Absent(client.Name);
        if (proxy.IsLocal)
            return new Finding("client", client.Name, null, "not tried: clients fetch this machine's own pages without a proxy (no_proxy); choose another with --url", null);
        using var witness = new ProxyWitness(new IPEndPoint(IPAddress.Loopback, proxy.State.Port));
        string[] command = ["/bin/sh", "-c", Shell, $"{proxy.State.Port}", $"{witness.Port}", client.Authorities ?? "_", .. client.Command];
        var (result, all) = await RunAsync(command, cancellationToken);
        var authorities = all.Find(line => line.StartsWith(Mark, StringComparison.Ordinal))?[Mark.Length..] ?? "";
        var said = all.FindAll(line => !line.StartsWith(Mark, StringComparison.Ordinal));
        if (client.Unknown is { } unknown && said.Exists(line => line.Contains(unknown, StringComparison.Ordinal)))
            return new Finding("client", client.Name, null, "without a compiler: cannot be tried", null);
        var works = result.Succeeded || (!result.TimedOut && said.Exists(client.IsAnswer));
        var reason = client.ReasonIn(said, result);
        if (!witness.Saw && !await isLed(cancellationToken))
        {
            return new Finding("client", client.Name, false, $"goes past the proxy: {(works ? "it got an answer, and the proxy no request" : reason)}", HowToLead(client));
        }

        var trusts = proxy.Url.StartsWith("https:", StringComparison.OrdinalIgnoreCase) ? " and trusts it" : "";
        var by = witness.Saw ? "" : ", by the rules for what goes out,";
        return works ? new Finding("client", client.Name, true, $"goes through the proxy{by}{trusts}", null)
            : new Finding("client", client.Name, false, reason, HowToMend(client, reason, result, authorities));
    }

    private async Task<Finding> DockerAsync(CancellationToken cancellationToken)
    {
        if (!proxy.IsContainers || !IsHere("docker"))
            return proxy.IsContainers ? Absent("docker") : new Finding("client", "docker", null, "no Docker of a session here", null);
        var client = new TriedClient("docker", ["docker", "info"]);
        var (result, said) = await RunAsync(["/bin/sh", "-c", Shell, "0", "0", "_", .. client.Command], cancellationToken);
        return result.Succeeded ? new Finding("client", "docker", true, "the daemon answers", null) : WithoutDaemon(client.ReasonIn(said, result));
    }

    // Only of a daemon that the start had to start do the container's lines tell.
    private Finding WithoutDaemon(string reason)
    {
        if (Environment.GetEnvironmentVariable("DOCKER_HOST") is { Length: > 0 } host)
            return new Finding("client", "docker", false, reason, $"DOCKER_HOST names {host}: start the daemon there, or unset it");
        if (IsHere("dockerd") || DaemonDirectories.Any(directory => File.Exists(Path.Combine(paths.In(directory), "dockerd"))))
            return new Finding("client", "docker", false, reason, "read the lines of the Docker daemon in `docker logs`");
        return Path.Exists(paths.DockerSocket)
            ? new Finding("client", "docker", false, reason, $"{paths.DockerSocket} is another daemon's, mounted here: it has to run, and the agent's user needs the socket's group")
            : new Finding("client", "docker", null, "a client without a daemon: the image has no dockerd, and no socket is mounted",
                $"where Docker is wanted: an image with dockerd, or -v {paths.DockerSocket}:{paths.DockerSocket}, which makes the agent root on that machine");
    }

    private string HowToLead(TriedClient client)
    {
        var scheme = new Uri(proxy.Url).Scheme;
        var direct = client.Name == "java"
            ? $"export JAVA_TOOL_OPTIONS='-D{scheme}.proxyHost=localhost -D{scheme}.proxyPort={proxy.State.Port}' (java reads no other variable)"
            : $"export {scheme}_proxy={proxy.Address} ({client.Name} reads it, and not every client reads it in capitals)";
        return proxy.IsContainers ? $"{Doctor.Restart}; or {direct}" : direct;
    }

    // By what went wrong: a client that was refused needs no certificate.
    private string HowToMend(TriedClient client, string reason, ToolResult result, string authorities)
    {
        if (Asks().IsMatch(reason))
            return $"the proxy asks for a name and password (clients, socks.users): export https_proxy=http://USER:PASSWORD@localhost:{proxy.State.Port}";
        if (!Distrust().IsMatch(reason) && !(client.Name == "wget" && result.ExitCode == 5))
            return proxy.ReadLog;
        if (trust.IsRotated)
            return proxy.TakeNewAuthority;
        return client.Name switch
        {
            "node" when trust.Found == AuthorityPlace.Served => $"curl -o ca.crt http://{proxy.State.Api}/ca.crt; export NODE_EXTRA_CA_CERTS=$PWD/ca.crt",
            "node" => $"export NODE_EXTRA_CA_CERTS={trust.File}",
            "java" => proxy.IsContainers ? "set JAVA_TOOL_OPTIONS as /etc/profile.d/discobot-proxy.sh does" : $"give it a key store that has {trust.File} (keytool -importcert, -Djavax.net.ssl.trustStore)",
            _ when client.Authorities is { } variable && authorities.Length > 0 && authorities != trust.Bundle && !trust.Holds(authorities) =>
                $"{variable} names {authorities}, which has not the CA: " + (trust.Bundle is { } bundle ? $"export {variable}={bundle}" : $"unset {variable}"),
            _ => trust.HowToMend(proxy),
        };
    }

    private async Task<(ToolResult Result, List<string> Said)> RunAsync(string[] command, CancellationToken cancellationToken)
    {
        var said = new List<string>();
        var result = await tools.RunAsync(new Launch(command[0], command) { User = user?.Name, Environment = Own() }, Limit, said.Add, cancellationToken);
        return (result, said);
    }

    private bool IsHere(string name) => path.Split(':').Any(directory => File.Exists(Path.Combine(directory, name)));

    private static Finding Absent(string name) => new("client", name, null, "not in this image", null);

    private Dictionary<string, string> Own()
    {
        var environment = ByteText.OwnEnvironment();
        if (user is not null)
            (environment["HOME"], environment["USER"], environment["LOGNAME"]) = (user.Home, user.Name, user.Name);
        return environment;
    }

    [GeneratedRegex("certificate|self.signed|unknown authority|PKIX|SSL_ERROR|tlsv1 alert", RegexOptions.IgnoreCase)]
    private static partial Regex Distrust();

    [GeneratedRegex(@"\b407\b")]
    private static partial Regex Asks();
}
