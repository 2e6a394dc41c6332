using System.Globalization;
using System.Text.RegularExpressions;
using Discobot.Infrastructure.Native;

namespace Discobot.Features.Init;

/// <summary>How the home of the session is made.</summary>
internal enum FilesystemChoice
{
    /// <summary>What the session has already, else OverlayFS.</summary>
    Auto,
    Overlay,
    AgentFs,

    /// <summary>A directory on the volume, which needs no right to mount.</summary>
    Plain,
}

/// <summary>What the environment asks for. Every value comes from outside and is checked here, once.</summary>
internal sealed partial record SessionOptions
{
    public required string SessionId { get; init; }

    /// <summary>A git URL, a path, or empty for an empty workspace.</summary>
    public string WorkspacePath { get; init; } = "";

    /// <summary>Where the workspace starts from; empty for the head of the default branch.</summary>
    public string WorkspaceCommit { get; init; } = "";

    public string AgentBinary { get; init; } = "/opt/discobot/bin/discobot-agent-api";

    public string AgentUser { get; init; } = "discobot";

    public FilesystemChoice Filesystem { get; init; }

    /// <summary>Null when the environment does not say.</summary>
    public bool? CacheEnabled { get; init; }

    /// <summary>How long whoever stops the container waits before it kills it. Docker's own limit is ten seconds.</summary>
    public TimeSpan StopBudget { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>Values that mean nothing and count as not set, each with its rule.</summary>
    public IReadOnlyList<string> Ignored { get; init; } = [];

    /// <summary>Reads the variables, collecting every error.</summary>
    public static SessionOptions? Read(IReadOnlyDictionary<string, string> environment, List<string> errors)
    {
        var value = (string name, string fallback) => environment.GetValueOrDefault(name) is { Length: > 0 } text ? text : fallback;
        var session = value("SESSION_ID", "");
        Check(session, SessionPattern(), "SESSION_ID",
            (session.Length == 0 ? "is required, as in -e SESSION_ID=NAME: " : "must be another, as in -e SESSION_ID=NAME: ") + "1 to 128 letters, digits, '_' or '-'", errors);
        var options = new SessionOptions
        {
            SessionId = session,
            WorkspacePath = Check(value("WORKSPACE_PATH", ""), WorkspacePattern(), "WORKSPACE_PATH",
                "must be a git URL (https://HOST/PATH, USER@HOST:PATH) or an absolute path in the container, without control characters, at most 4096 characters", errors),
            WorkspaceCommit = Check(value("WORKSPACE_COMMIT", ""), CommitPattern(), "WORKSPACE_COMMIT",
                "must be a commit, branch or tag: at most 255 letters, digits, '.', '_', '/' or '-', the first a letter, digit or '_'", errors),
            AgentBinary = Check(value("AGENT_BINARY", "/opt/discobot/bin/discobot-agent-api"), PathPattern(), "AGENT_BINARY",
                "must be an absolute path without control characters, at most 4096 characters", errors),
            AgentUser = Check(value("AGENT_USER", "discobot"), UserPattern(), "AGENT_USER", "must be a user name or number: 1 to 32 letters, digits, '_', '.' or '-', the first a letter, digit or '_'", errors),
            Filesystem = value("DISCOBOT_FILESYSTEM", "").ToLowerInvariant() switch
            {
                "overlayfs" => FilesystemChoice.Overlay,
                "agentfs" => FilesystemChoice.AgentFs,
                "plain" => FilesystemChoice.Plain,
                _ => FilesystemChoice.Auto,
            },
            CacheEnabled = environment.TryGetValue("CACHE_ENABLED", out var cache) && cache.Length > 0 ? cache != "false" : null,
            StopBudget = ReadBudget(value("DISCOBOT_STOP_BUDGET", "10"), errors),
            Ignored = [.. Meaningless(value("DISCOBOT_FILESYSTEM", ""), value("CACHE_ENABLED", ""))],
        };
        if (value(StopSignals.Variable, "TERM") is var name && (SignalNames.FromName(name) is not { } signal || !StopSignals.CanStop(signal)))
            errors.Add($"{StopSignals.Variable} must be the name of a signal that can be handled: TERM, QUIT, USR1, WINCH, RTMIN+3 and the like");
        return errors.Count == 0 ? options : null;
    }

    // Containers that were made for these variables may hold anything in them: that stays no reason not to start.
    private static IEnumerable<string> Meaningless(string filesystem, string cache)
    {
        if (filesystem.ToLowerInvariant() is not ("" or "overlayfs" or "agentfs" or "plain"))
            yield return $"DISCOBOT_FILESYSTEM must be overlayfs, agentfs or plain: {Shown(filesystem)} is ignored";
        if (cache is not ("" or "false" or "true"))
            yield return $"CACHE_ENABLED must be true or false: {Shown(cache)} counts as true";
    }

    private static string Shown(string value) => $"'{new string([.. value.Take(40).Select(c => char.IsControl(c) ? '?' : c)])}'";

    private static TimeSpan ReadBudget(string text, List<string> errors)
    {
        if (double.TryParse(text.TrimEnd('s'), NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var seconds) && seconds is >= 1 and <= 3600)
            return TimeSpan.FromSeconds(seconds);
        errors.Add("DISCOBOT_STOP_BUDGET must be a number of seconds between 1 and 3600");
        return TimeSpan.FromSeconds(10);
    }

    private static string Check(string value, Regex pattern, string name, string rule, List<string> errors)
    {
        if (!pattern.IsMatch(value))
            errors.Add($"{name} {rule}");
        return value;
    }

    // It becomes part of paths and of mount options, where ',' ':' and '..' would mean something.
    [GeneratedRegex(@"\A[A-Za-z0-9_-]{1,128}\z", RegexOptions.CultureInvariant)]
    private static partial Regex SessionPattern();

    // No transport of git's own that is an open file or a command: it would wait for the one, and run the other.
    [GeneratedRegex(@"\A(|/[^\p{Cc}]{0,4095}|(?=[^/]*:)(?!(?i:fd|ext):(?::|//))[A-Za-z0-9][^\p{Cc}\s]{0,4095})\z", RegexOptions.CultureInvariant)]
    private static partial Regex WorkspacePattern();

    [GeneratedRegex(@"\A(|[A-Za-z0-9_][A-Za-z0-9._/-]{0,254})\z", RegexOptions.CultureInvariant)]
    private static partial Regex CommitPattern();

    [GeneratedRegex(@"\A/[^\p{Cc}]{1,4095}\z", RegexOptions.CultureInvariant)]
    private static partial Regex PathPattern();

    [GeneratedRegex(@"\A[A-Za-z0-9_][A-Za-z0-9_.-]{0,31}\z", RegexOptions.CultureInvariant)]
    private static partial Regex UserPattern();
}
