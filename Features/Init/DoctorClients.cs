using Discobot.Infrastructure.Native;

namespace Discobot.Features.Init;

/// <summary>Has each client of the image fetch an https page, with the variables that a login shell gets. Any answer will do, even an
/// error page: what is asked is whether the client goes through the proxy and trusts it.</summary>
/// <param name="tools">Runs them.</param>
/// <param name="path">The PATH to look on.</param>
/// <param name="url">What they fetch.</param>
internal sealed class DoctorClients(ToolRun tools, string path, string url)
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(20);

    private const string Python = """
        import sys, urllib.request, urllib.error
        try: urllib.request.urlopen(sys.argv[1], timeout=15)
        except urllib.error.HTTPError: pass
        """;

    private const string Node = "fetch(process.argv[1]).then(() => process.exit(0), e => { console.error(e.cause ?? e); process.exit(1) })";

    /// <summary>One finding a client; those that the image lacks are told as such.</summary>
    public async Task<IReadOnlyList<Finding>> TryAllAsync(CancellationToken cancellationToken)
    {
        (string Name, string[] Arguments, string Fix)[] clients =
        [
            ("curl", ["-sS", "-o", "/dev/null", url], "point CURL_CA_BUNDLE at the system's bundle"),
            ("git", ["-c", "credential.helper=", "ls-remote", url], "point GIT_SSL_CAINFO at the system's bundle"),
            ("python3", ["-c", Python, url], "point SSL_CERT_FILE at the system's bundle"),
            ("node", ["-e", Node, url], "set NODE_EXTRA_CA_CERTS=/.data/proxy/certs/ca.crt and NODE_USE_ENV_PROXY=1"),
            ("docker", ["info"], "read the lines of the Docker daemon in `docker logs`"),
        ];
        return await Task.WhenAll(clients.Select(c => TryAsync(c.Name, c.Arguments, c.Fix, cancellationToken)));
    }

    private async Task<Finding> TryAsync(string name, string[] arguments, string fix, CancellationToken cancellationToken)
    {
        if (!path.Split(':').Any(directory => File.Exists(Path.Combine(directory, name))))
            return new Finding("client", name, null, "not in this image", null);
        const string Shell = "[ -r /etc/profile.d/discobot-proxy.sh ] && . /etc/profile.d/discobot-proxy.sh; export GIT_TERMINAL_PROMPT=0; exec \"$@\"";
        var said = new List<string>();
        var launch = new Launch(name, ["/bin/sh", "-c", Shell, "sh", name, .. arguments]);
        var result = await tools.RunAsync(launch, Limit, said.Add, cancellationToken);

        // A page that is no repository is an answer as well: only what git says about certificates and connections counts.
        var works = result.Succeeded || (name == "git" && !result.TimedOut && !said.Exists(IsAboutTheWay));
        var reason = result.TimedOut ? "no answer within 20 s" : said.LastOrDefault(line => line.Length > 0) ?? $"exit code {result.ExitCode}";
        return new Finding("client", name, works, works ? name == "docker" ? "the daemon answers" : $"reaches {url}" : reason, works ? null : fix);
    }

    private static bool IsAboutTheWay(string line)
        => line.Contains("certificate", StringComparison.OrdinalIgnoreCase) || line.Contains("connect", StringComparison.OrdinalIgnoreCase)
            || line.Contains("resolve", StringComparison.OrdinalIgnoreCase);
}
