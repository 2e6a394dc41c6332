using System.Text.RegularExpressions;
using Discobot.Infrastructure.Native;

namespace Discobot.Features.Init;

/// <summary>Clones a repository by the <c>git</c> of the image, without ever asking for a password.</summary>
/// <param name="container">Whose git and environment it is.</param>
/// <param name="limit">How long each command may take; half an hour by default.</param>
internal sealed partial class GitClone(Container container, TimeSpan? limit = null)
{
    private const string Branch = "discobot-session";
    private readonly TimeSpan _limit = limit ?? TimeSpan.FromMinutes(30);

    /// <summary>Clones into a directory that does not exist yet, and checks the asked-for commit out on a branch of its own.</summary>
    /// <exception cref="StartupException">git is missing, failed or took too long.</exception>
    public async Task RunAsync(string source, string target, CancellationToken cancellationToken)
    {
        var git = container.FindProgram("git") ?? throw new StartupException(
            $"git is not installed, so {Redact(source)} cannot be cloned: put git into the image, or mount a directory without .git, which is copied");
        container.Log.Info($"cloning {Redact(source)}");

        // Hard links would share files with the source, and giving them to the agent would change the source.
        await GitAsync([git, "clone", "--single-branch", "--no-hardlinks", "--", source, target], cancellationToken);
        if (container.Session.WorkspaceCommit is { Length: > 0 } commit)
            await GitAsync([git, "-C", target, "checkout", "-B", Branch, await FetchAsync(git, source, target, commit, cancellationToken), "--"], cancellationToken);
    }

    /// <summary>Takes user and password out of URLs, and what follows a question mark.</summary>
    public static string Redact(string text) => Query().Replace(Credentials().Replace(text, "$1***@"), "$1?***");

    // The clone has one branch. A commit beyond it is asked for by name; the beginning of one is known only where everything is.
    private async Task<string> FetchAsync(string git, string source, string target, string commit, CancellationToken cancellationToken)
    {
        string[] isThere = [git, "-C", target, "cat-file", "-e", commit + "^{commit}"];
        if (await SucceedsAsync(isThere, cancellationToken))
            return commit;
        if (await SucceedsAsync([git, "-C", target, "fetch", "origin", commit], cancellationToken))
            return "FETCH_HEAD";
        await GitAsync([git, "-C", target, "fetch", "--tags", "origin", "+refs/heads/*:refs/remotes/origin/*"], cancellationToken);
        return await SucceedsAsync(isThere, cancellationToken)
            ? commit
            : throw new StartupException($"WORKSPACE_COMMIT {commit} is no commit, branch or tag of {Redact(source)}");
    }

    private async Task GitAsync(string[] command, CancellationToken cancellationToken)
    {
        var result = await RunGitAsync(command, line => container.Log.Info($"  [git] {Redact(line)}"), cancellationToken);
        if (!result.Succeeded)
        {
            var verb = command.First(a => a is "clone" or "fetch" or "checkout");
            throw new StartupException(result.TimedOut ? $"git {verb} was ended: it took longer than {_limit.TotalMinutes:0.##} minutes" : $"git {verb} failed");
        }
    }

    private Task<ToolResult> RunGitAsync(string[] command, Action<string> line, CancellationToken cancellationToken)
    {
        // Our own proxy is not up yet.
        var environment = ProxyEnvironment.Without(container.Environment, container.Proxy.Port);
        environment["GIT_TERMINAL_PROMPT"] = "0";
        environment["GIT_ASKPASS"] = environment["SSH_ASKPASS"] = "true";
        environment.TryAdd("GIT_SSH_COMMAND", "ssh -oBatchMode=yes -oStrictHostKeyChecking=accept-new");
        environment.TryAdd("HOME", "/root");
        var launch = new Launch("git", command) { Environment = environment };
        return container.Tools.RunAsync(launch, _limit, line, cancellationToken);
    }

    private async Task<bool> SucceedsAsync(string[] command, CancellationToken cancellationToken)
        => (await RunGitAsync(command, static _ => { }, cancellationToken)).Succeeded;

    // Up to the last '@' of the authority: passwords hold '@' and ':' as well.
    [GeneratedRegex(@"([A-Za-z][A-Za-z0-9+.-]*://)[^/\s]*@", RegexOptions.CultureInvariant)]
    private static partial Regex Credentials();

    [GeneratedRegex(@"([A-Za-z][A-Za-z0-9+.-]*://[^\s?'""]*)\?[^\s'""]*", RegexOptions.CultureInvariant)]
    private static partial Regex Query();
}
