using System.Collections;
using System.Runtime.InteropServices;

namespace Discobot.Infrastructure.Native.Processes;

/// <summary>What a process changes about itself before it becomes another program.</summary>
/// <param name="Command">Program, looked up on PATH when it has no slash, and its arguments.</param>
internal sealed record ProgramReplacement(IReadOnlyList<string> Command)
{
    /// <summary>The beginning of the names of variables that hold another one, name and value, percent-encoded.</summary>
    public const string CarriedVariable = "DISCOBOT_EXEC_";

    // capabilities(7): NET_ADMIN, NET_RAW, SYS_MODULE, SYS_PTRACE, SYS_ADMIN, PERFMON, BPF. With one of them, who is kept in gets out.
    private static readonly nuint[] Confining = [12, 13, 16, 19, 21, 38, 39];

    /// <summary>The user to become, groups and all; null stays who it is.</summary>
    public UserRecord? User { get; init; }

    /// <summary>What the kernel sends when the parent's thread that started this process ends; null for nothing.</summary>
    public Signal? ParentDeathSignal { get; init; }

    /// <summary>Whether to leave the terminal and lead a session of its own.</summary>
    public bool NewSession { get; init; }

    /// <summary>Whether to lead a process group of its own, within the session.</summary>
    public bool NewGroup { get; init; }

    /// <summary>Whether that group becomes the one that reads from the terminal, when standard input is one.</summary>
    public bool Foreground { get; init; }

    /// <summary>Whether it may never again change the network's rules, look into other processes or mount, not even as root.</summary>
    public bool DropsCapabilities { get; init; }

    /// <summary>Whether it has none of those families of sockets that no packet filter sees.</summary>
    public bool LimitsSockets { get; init; }

    /// <summary>Whether set-user-ID programs give it nothing (PR_SET_NO_NEW_PRIVS).</summary>
    public bool NoNewPrivileges { get; init; }

    /// <summary>Directories in which it follows no symbolic links, in mounts of its own.</summary>
    public IReadOnlyList<string> LinklessDirectories { get; init; } = [];

    /// <summary>Its umask; null keeps ours.</summary>
    public uint? FileMask { get; init; }

    /// <summary>Where it begins; null stays where it is.</summary>
    public string? Directory { get; init; }

    /// <summary>Becomes the program. Returns only when that is impossible, with the reason thrown.</summary>
    public void Run()
    {
        var parent = Libc.GetParent();
        if (NewSession)
            Check(Libc.SetSession(), "setsid");
        else if (NewGroup)
            Check(Libc.SetGroup(0, 0), "setpgid");
        if (Foreground && Libc.IsTerminal(0) == 1)
            TakeTerminal();
        if (LinklessDirectories.Count > 0)
            LinklessMounts.Enter(LinklessDirectories);
        if (DropsCapabilities)
            DropCapabilities();
        // Who may gain privileges later needs one to be limited; who may not, needs none.
        if (LimitsSockets && !NoNewPrivileges)
            SocketFamilies.Limit();
        if (User is { } user)
            Become(user);
        if (NoNewPrivileges)
            Check(Libc.ProcessControl(Libc.SetNoNewPrivileges, 1, 0, 0, 0), "prctl");
        if (LimitsSockets && NoNewPrivileges)
            SocketFamilies.Limit();
        if (ParentDeathSignal is { } signal)
            DieWith(parent, signal);
        // As that user: root would follow the user's links to where only root may go, and is nobody on a file system of others (NFS, FUSE).
        if (Directory is { } directory && Libc.ChangeDirectory(directory) != 0)
            throw LibcException.Last("chdir", directory);
        if (FileMask is { } mask)
            _ = Libc.SetFileMask(mask);
        DefaultSignals();
        UnpackVariables();
        Replace();
    }

    // A background group that touches the terminal is stopped (SIGTTOU) unless it ignores that.
    private static void TakeTerminal()
    {
        Libc.SetDisposition((int)Signal.TerminalOutput, 1);
        Check(Libc.SetForegroundGroup(0, Environment.ProcessId), "tcsetpgrp");
    }

    // From the bounding set, out of which no program comes again. A number that the kernel does not know is nobody's (EINVAL).
    private static void DropCapabilities()
    {
        foreach (var capability in Confining)
        {
            if (Libc.ProcessControl(Libc.DropBoundingCapability, capability, 0, 0, 0) < 0
                && Marshal.GetLastPInvokeError() != LibcException.Invalid)
                throw LibcException.Last("prctl", $"dropping capability {capability}");
        }
    }

    private static void Become(UserRecord user)
    {
        var groups = user.Groups.ToArray();
        Check(Libc.SetSupplementaryGroups((nuint)groups.Length, groups), "setgroups");
        Check(Libc.SetUserGroup(user.Group, user.Group, user.Group), "setresgid");
        Check(Libc.SetUser(user.User, user.User, user.User), "setresuid");
    }

    // After the change of user, which clears it; the parent may have died before it took effect.
    private static void DieWith(int parent, Signal signal)
    {
        Check(Libc.ProcessControl(Libc.SetParentDeathSignal, (nuint)signal, 0, 0, 0), "prctl");
        if (Libc.GetParent() != parent)
            Environment.Exit(128 + (int)signal);
    }

    // Ignored signals and the mask survive execve: the .NET runtime ignores SIGPIPE, and whoever started us may have ignored any.
    private static void DefaultSignals()
    {
        IgnoredSignals.Restore();
        _ = Libc.SetSignalMask(Libc.SetMask, new ulong[16], 0);
    }

    private static void UnpackVariables()
    {
        foreach (var (key, text) in Environment.GetEnvironmentVariables().Cast<DictionaryEntry>())
        {
            if (key is not string name || !name.StartsWith(CarriedVariable, StringComparison.Ordinal) || text is not string value)
                continue;
            _ = Libc.RemoveVariable(ByteText.EncodeZeroTerminated(name));
            var entry = ByteText.Unescape(value);
            if (entry.IndexOf('=', StringComparison.Ordinal) is > 0 and var equals)
                _ = Libc.SetVariable(ByteText.EncodeZeroTerminated(entry[..equals]), ByteText.EncodeZeroTerminated(entry[(equals + 1)..]), 1);
        }
    }

    private static void Check(int result, string call)
    {
        if (result < 0)
            throw LibcException.Last(call, "for the new process");
    }

    private void Replace()
    {
        var arguments = new nint[Command.Count + 1];
        for (var i = 0; i < Command.Count; i++)
        {
            var bytes = ByteText.EncodeZeroTerminated(Command[i]);
            arguments[i] = Marshal.AllocCoTaskMem(bytes.Length);
            Marshal.Copy(bytes, 0, arguments[i], bytes.Length);
        }

        _ = Libc.ReplaceProgram(ByteText.EncodeZeroTerminated(Command[0]), arguments);
        var error = LibcException.Last("execve", Command[0]);
        throw error.Number == LibcException.NotFound && Interpreter.MissingOf(Command[0]) is { } missing
            ? new LibcException("execve", $"{Command[0]}, which is there, but {missing}", error.Number) : error;
    }
}
