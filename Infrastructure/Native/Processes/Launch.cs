namespace Discobot.Infrastructure.Native.Processes;

/// <summary>A program to be started.</summary>
/// <param name="Name">What it is called in the log.</param>
/// <param name="Command">Program and arguments.</param>
internal sealed record Launch(string Name, IReadOnlyList<string> Command)
{
    /// <summary>The whole environment; null passes on our own.</summary>
    public IReadOnlyDictionary<string, string>? Environment { get; init; }

    /// <summary>Gone to as the user; where that fails, the program does not run and the code is 126 or 127.</summary>
    public string WorkingDirectory { get; init; } = "/";

    /// <summary>A name or number of the user database; null runs it as root.</summary>
    public string? User { get; init; }

    /// <summary>Keeps the terminal and gets it when there is one; else the program leads a session of its own.</summary>
    public bool Foreground { get; init; }

    /// <summary>Whether its output is read by us instead of going where ours goes, and its input is empty.</summary>
    public bool Capture { get; init; }

    /// <summary>Whether what it leaves in the background goes on after its end, its output still read. Only with <see cref="Capture"/>.</summary>
    public bool LeavesBackground { get; init; }

    /// <summary>Its umask; null is ours.</summary>
    public uint? FileMask { get; init; }

    /// <summary>What ends it when we are gone without a stop.</summary>
    public Signal EndsWithUs { get; init; } = Signal.Terminate;

    /// <summary>Whether it may never again change the network's rules, look into other processes or mount.</summary>
    public bool DropsCapabilities { get; init; }

    /// <summary>Whether it has none of those families of sockets that no packet filter sees.</summary>
    public bool LimitsSockets { get; init; }

    /// <summary>Whether set-user-ID programs give it nothing.</summary>
    public bool NoNewPrivileges { get; init; }

    /// <summary>Directories in which it follows no symbolic links, in mounts of its own.</summary>
    public IReadOnlyList<string> LinklessDirectories { get; init; } = [];

    /// <summary>The arguments for our own executable that make it change user and session and then become the program.</summary>
    public IEnumerable<string> ExecArguments()
    {
        yield return "exec";
        if (User is not null)
        {
            yield return "--user";
            yield return User;
        }

        yield return "--pdeathsig";
        yield return EndsWithUs.Short();
        if (Foreground)
        {
            yield return "--setpgid";
            yield return "--foreground";
        }
        else
        {
            yield return "--setsid";
        }

        // Not by our own fork: where the directory's file system does not answer, nothing else could be started any more.
        if (WorkingDirectory != "/")
        {
            yield return "--chdir";
            yield return WorkingDirectory;
        }

        if (FileMask is { } mask)
        {
            yield return "--umask";
            yield return Convert.ToString(mask, 8);
        }

        var plain = Command.All(ByteText.IsText);
        if (!plain)
            yield return "--escaped";
        if (DropsCapabilities)
            yield return "--drop-capabilities";
        if (LimitsSockets)
            yield return "--limit-sockets";
        if (NoNewPrivileges)
            yield return "--no-new-privs";
        foreach (var directory in LinklessDirectories)
        {
            yield return "--no-links";
            yield return directory;
        }

        yield return "--";
        foreach (var argument in Command)
            yield return plain ? argument : ByteText.Escape(argument);
    }
}
