using System.Runtime.InteropServices;

namespace Discobot.Infrastructure.Native;

/// <summary>A system call failed. The message names the call, what it was about and the reason in words.</summary>
internal sealed class LibcException(string call, string subject, int number)
    : IOException($"{call} {subject}: {Marshal.GetPInvokeErrorMessage(number)}")
{
    public const int NotPermitted = 1;
    public const int NotFound = 2;
    public const int NoProcess = 3;
    public const int NoDeviceOrAddress = 6;
    public const int WouldBlock = 11;
    public const int AccessDenied = 13;
    public const int Exists = 17;
    public const int CrossDevice = 18;
    public const int NotDirectory = 20;
    public const int Invalid = 22;
    public const int NoSpace = 28;
    public const int ReadOnly = 30;
    public const int Range = 34;
    public const int NotImplemented = 38;
    public const int NotEmpty = 39;
    public const int TooManyLinks = 40;
    public const int NotSupported = 95;
    public const int ConnectionReset = 104;
    public const int OverQuota = 122;

    /// <summary>The errno value; the constants above name those that callers tell apart.</summary>
    public int Number { get; } = number;

    /// <summary>The error of the call that has just failed on this thread.</summary>
    public static LibcException Last(string call, string subject) => new(call, subject, Marshal.GetLastPInvokeError());
}
