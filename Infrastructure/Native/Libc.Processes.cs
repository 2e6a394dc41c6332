using System.Runtime.InteropServices;

namespace Discobot.Infrastructure.Native;

/// <summary>The few functions of libc that .NET does not offer: processes, users, terminals.</summary>
internal static partial class Libc
{
    public const int SetParentDeathSignal = 1;
    public const int SetDumpable = 4;
    public const int DropBoundingCapability = 24;
    public const int SetChildSubreaper = 36;
    public const int SetNoNewPrivileges = 38;
    public const int SetMask = 2;
    public const int NoHang = 1;

    [LibraryImport("libc", EntryPoint = "kill", SetLastError = true)]
    public static partial int Kill(int pid, int signal);

    [LibraryImport("libc", EntryPoint = "waitpid", SetLastError = true)]
    public static partial int Wait(int pid, nint status, int options);

    [LibraryImport("libc", EntryPoint = "getppid")]
    public static partial int GetParent();

    [LibraryImport("libc", EntryPoint = "getpgrp")]
    public static partial int GetGroup();

    [LibraryImport("libc", EntryPoint = "geteuid")]
    public static partial uint GetUser();

    [LibraryImport("libc", EntryPoint = "getegid")]
    public static partial uint GetUserGroup();

    [LibraryImport("libc", EntryPoint = "setsid", SetLastError = true)]
    public static partial int SetSession();

    [LibraryImport("libc", EntryPoint = "setpgid", SetLastError = true)]
    public static partial int SetGroup(int pid, int group);

    [LibraryImport("libc", EntryPoint = "setgroups", SetLastError = true)]
    public static partial int SetSupplementaryGroups(nuint count, uint[] groups);

    [LibraryImport("libc", EntryPoint = "setresgid", SetLastError = true)]
    public static partial int SetUserGroup(uint real, uint effective, uint saved);

    [LibraryImport("libc", EntryPoint = "setresuid", SetLastError = true)]
    public static partial int SetUser(uint real, uint effective, uint saved);

    [LibraryImport("libc", EntryPoint = "prctl", SetLastError = true)]
    public static partial int ProcessControl(int option, nuint a, nuint b, nuint c, nuint d);

    /// <summary>What nobody is given of a new file's rights, as in the kernel's own default: 022.</summary>
    public const uint UsualFileMask = 0x12;

    /// <summary>Says what is taken from the rights of every file made from now on.</summary>
    /// <returns>What was until now.</returns>
    [LibraryImport("libc", EntryPoint = "umask")]
    public static partial uint SetFileMask(uint mask);

    [LibraryImport("libc", EntryPoint = "isatty")]
    public static partial int IsTerminal(int descriptor);

    [LibraryImport("libc", EntryPoint = "tcsetpgrp", SetLastError = true)]
    public static partial int SetForegroundGroup(int descriptor, int group);

    [LibraryImport("libc", EntryPoint = "signal", SetLastError = true)]
    public static partial nint SetDisposition(int signal, nint handler);

    [LibraryImport("libc", EntryPoint = "pthread_sigmask")]
    public static partial int SetSignalMask(int how, ulong[] set, nint previous);

    [LibraryImport("libc", EntryPoint = "execvp", SetLastError = true)]
    public static partial int ReplaceProgram(byte[] file, nint[] arguments);

    /// <summary>The first real-time signal that the C library leaves to programs; the .NET runtime takes that one.</summary>
    [LibraryImport("libc", EntryPoint = "__libc_current_sigrtmin")]
    public static partial int FirstRealTimeSignal();

    [LibraryImport("libc", EntryPoint = "setenv", SetLastError = true)]
    public static partial int SetVariable(byte[] name, byte[] value, int overwrite);

    [LibraryImport("libc", EntryPoint = "unsetenv", SetLastError = true)]
    public static partial int RemoveVariable(byte[] name);

    [LibraryImport("libc", EntryPoint = "chdir", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int ChangeDirectory(string path);
}
