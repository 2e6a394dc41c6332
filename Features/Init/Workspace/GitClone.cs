using System.Text.RegularExpressions;
using Discobot.Infrastructure.Native;

namespace Discobot.Features.Init.Workspace;

/// <summary>Clones a repository by the <c>git</c> of the image, without ever asking for a password.</summary>
/// <param name="container">Whose git and environment it is.</param>
/// <param name="limit">How long each command may take; half an hour by default.</param>
internal sealed partial class GitClone(Container container, TimeSpan? limit = null)
{
    private const string Branch = "discobot-session";
    private const string Pointer = "gitdir: ";

    // A repository on this machine may be anybody's (CVE-2022-24765): git, run by root here, reads it all the same. It takes no command from
    // its configuration (git-upload-pack(1), SECURITY), and from the clone's no hook.
    private static readonly string[] Options = ["-c", "safe.directory=*", "-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false"];
    private const string Serve = "--upload-pack=git -c safe.directory=* upload-pack";

    // What git and its transports are told by; nothing else of the container's environment, secrets that are others' among it.
    private static readonly string[] Passed = ["PATH", "HOME", "USER", "LOGNAME", "LANG", "LANGUAGE", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR", "CURL_CA_BUNDLE"];

    private readonly TimeSpan _limit = limit ?? TimeSpan.FromMinutes(30);

    /// <summary>Clones into a directory that does not exist yet, and checks the asked-for commit out on a branch of its own.</summary>
    /// <exception cref="StartupException">git is missing, failed or took too long.</exception>
    public async Task RunAsync(string source, string target, CancellationToken cancellationToken)
    {
        var git = container.FindProgram("git") ?? throw new StartupException(
            $"git is not installed, so {Redact(source)} cannot be cloned: put git into the image, or mount a directory without .git, which is copied");
        if (source.StartsWith('/'))
            RequireWhole(source);
        container.Log.Info($"cloning {Redact(source)}");
        var from = GitSource.Parse(source);
        if (from.User is not null)
        {
            container.Log.Warning("WORKSPACE_PATH holds credentials. The clone and the agent do not get them, but whoever runs `docker exec` in this container "
                + "reads them in its environment: give a credential by a rule of the policy's headers, whose value is a file:");
        }

        string[] serve = source.StartsWith('/') || source.StartsWith("file://", StringComparison.OrdinalIgnoreCase) ? [Serve] : [];

        // Hard links would share files with the source, and giving them to the agent would change the source.
        await GitAsync(from, [git, .. Options, .. from.CredentialOptions(), "clone", "--single-branch", "--no-hardlinks", .. serve, "--", from.Url, target], cancellationToken);
        if (container.Session.WorkspaceCommit is not { Length: > 0 } commit)
            return;
        string[] inClone = [git, .. Options, .. from.CredentialOptions(), "-C", target];
        await GitAsync(from, [.. inClone, "checkout", "-B", Branch, await FetchAsync(from, inClone, serve, commit, cancellationToken), "--"], cancellationToken);
    }

    /// <summary>Takes user and password out of URLs, and what follows a question mark.</summary>
    public static string Redact(string text) => Query().Replace(Credentials().Replace(text, "$1***@"), "$1?***");

    // In a worktree or submodule .git is a file that names the repository's directory (gitrepository-layout(5)), which a mount may not have brought along.
    private static void RequireWhole(string source)
    {
        var file = Path.Combine(source, ".git");
        if (!File.Exists(file) || RegularFile.ReadAllLines(file) is not [var line, ..] || !line.StartsWith(Pointer, StringComparison.Ordinal))
            return;
        var named = line[Pointer.Length..].Trim();
        if (!Directory.Exists(Path.Combine(source, named)))
        {
            throw new StartupException($"{file} is that of a worktree or submodule, whose repository is {named}, and that is not in this container: "
                + "mount the repository at the same path as well, or mount the main work tree instead");
        }
    }

    // The clone has one branch. A commit beyond it is asked for by name; the beginning of one is known only where everything is.
    private async Task<string> FetchAsync(GitSource from, string[] inClone, string[] serve, string commit, CancellationToken cancellationToken)
    {
        string[] isThere = [.. inClone, "cat-file", "-e", commit + "^{commit}"];
        if (await SucceedsAsync(from, isThere, cancellationToken))
            return commit;
        if (await SucceedsAsync(from, [.. inClone, "fetch", .. serve, "origin", commit], cancellationToken))
            return "FETCH_HEAD";
        await GitAsync(from, [.. inClone, "fetch", .. serve, "--tags", "origin", "+refs/heads/*:refs/remotes/origin/*"], cancellationToken);
        return await SucceedsAsync(from, isThere, cancellationToken)
            ? commit
            : throw new StartupException($"WORKSPACE_COMMIT {commit} is no commit, branch or tag of {Redact(from.Url)}");
    }

    private async Task GitAsync(GitSource from, string[] command, CancellationToken cancellationToken)
    {
        var result = await RunGitAsync(from, command, line => container.Log.Info($"  [git] {Redact(line)}"), cancellationToken);
        if (!result.Succeeded)
        {
            var verb = command.First(a => a is "clone" or "fetch" or "checkout");
            throw new StartupException(result.TimedOut ? $"git {verb} was ended: it took longer than {_limit.TotalMinutes:0.##} minutes" : $"git {verb} failed");
        }
    }

    private Task<ToolResult> RunGitAsync(GitSource from, string[] command, Action<string> line, CancellationToken cancellationToken)
        => container.Tools.RunAsync(new Launch("git", command) { Environment = GitEnvironment(from) }, _limit, line, cancellationToken);

    private Dictionary<string, string> GitEnvironment(GitSource from)
    {
        // Our own proxy is not up yet.
        var environment = container.RootEnvironment(new ProxySummary()).Where(v => Passed.Contains(v.Key) || v.Key.StartsWith("LC_", StringComparison.Ordinal)
            || v.Key.StartsWith("GIT_", StringComparison.Ordinal) || v.Key.EndsWith("_PROXY", StringComparison.OrdinalIgnoreCase)).ToDictionary(v => v.Key, v => v.Value);

        // A key or an agent's socket may be anybody's: nothing of them is run.
        foreach (var name in new[] { "GIT_SSH_COMMAND", "SSH_AUTH_SOCK" })
        {
            if (container.Environment.TryGetValue(name, out var value))
                environment[name] = value;
        }

        environment["GIT_TERMINAL_PROMPT"] = "0";
        environment["GIT_ASKPASS"] = environment["SSH_ASKPASS"] = "true";
        environment.TryAdd("GIT_SSH_COMMAND", "ssh -oBatchMode=yes -oStrictHostKeyChecking=accept-new");
        from.AddCredentials(environment);
        return environment;
    }

    private async Task<bool> SucceedsAsync(GitSource from, string[] command, CancellationToken cancellationToken)
        => (await RunGitAsync(from, command, static _ => { }, cancellationToken)).Succeeded;

    // Up to the last '@' of the authority: passwords hold '@' and ':' as well.
    [GeneratedRegex(@"([A-Za-z][A-Za-z0-9+.-]*://)[^/\s]*@", RegexOptions.CultureInvariant)]
    private static partial Regex Credentials();

    [GeneratedRegex(@"([A-Za-z][A-Za-z0-9+.-]*://[^\s?'""]*)\?[^\s'""]*", RegexOptions.CultureInvariant)]
    private static partial Regex Query();
}
