using System.Globalization;

namespace Discobot.Infrastructure.Native.Processes;

/// <summary>The signals used here, by their Linux numbers (the same on x86-64 and arm64).</summary>
internal enum Signal
{
    Hangup = 1,
    Interrupt = 2,
    Quit = 3,
    Kill = 9,
    User1 = 10,
    User2 = 12,
    Pipe = 13,
    Alarm = 14,
    Terminate = 15,
    StackFault = 16,
    Child = 17,
    Continue = 18,
    TerminalStop = 20,
    TerminalInput = 21,
    TerminalOutput = 22,
    VirtualAlarm = 26,
    Profiling = 27,
    WindowChanged = 28,
    InputOutput = 29,
    PowerFailure = 30,
}

internal static class SignalNames
{
    /// <summary>The first real-time signal in the words of everyone who is not the C library (systemd, Docker, kill): it keeps 32 and 33.</summary>
    private const int FirstRealTime = 34;
    private const int LastRealTime = 64;

    /// <summary>As in <c>kill -l</c>: <c>TERM</c>, <c>HUP</c>, <c>RTMIN+3</c> …</summary>
    public static string Short(this Signal signal) => signal switch
    {
        Signal.Hangup => "HUP",
        Signal.Interrupt => "INT",
        Signal.Quit => "QUIT",
        Signal.Kill => "KILL",
        Signal.User1 => "USR1",
        Signal.User2 => "USR2",
        Signal.Terminate => "TERM",
        Signal.WindowChanged => "WINCH",
        Signal.Alarm => "ALRM",
        Signal.StackFault => "STKFLT",
        Signal.VirtualAlarm => "VTALRM",
        Signal.Profiling => "PROF",
        Signal.InputOutput => "IO",
        Signal.PowerFailure => "PWR",
        (Signal)FirstRealTime => "RTMIN",
        >= (Signal)FirstRealTime and <= (Signal)LastRealTime => $"RTMIN+{(int)signal - FirstRealTime}",
        _ => ((int)signal).ToString(CultureInfo.InvariantCulture),
    };

    /// <summary>The reverse of <see cref="Short"/>, with or without <c>SIG</c>; null for a name that is not used here.</summary>
    public static Signal? FromName(string name)
    {
        var bare = name.StartsWith("SIG", StringComparison.OrdinalIgnoreCase) ? name[3..] : name;
        foreach (var signal in Enum.GetValues<Signal>())
        {
            if (string.Equals(signal.Short(), bare, StringComparison.OrdinalIgnoreCase))
                return signal;
        }

        return FromRealTime(bare);
    }

    // From either end of the range, as Docker's STOPSIGNAL takes them, or by number.
    private static Signal? FromRealTime(string name)
    {
        var number = name.ToUpperInvariant() switch
        {
            "RTMIN" => FirstRealTime,
            "RTMAX" => LastRealTime,
            ['R', 'T', 'M', 'I', 'N', '+', .. var up] when byte.TryParse(up, NumberStyles.None, CultureInfo.InvariantCulture, out var n) => FirstRealTime + n,
            ['R', 'T', 'M', 'A', 'X', '-', .. var down] when byte.TryParse(down, NumberStyles.None, CultureInfo.InvariantCulture, out var n) => LastRealTime - n,
            _ when byte.TryParse(name, NumberStyles.None, CultureInfo.InvariantCulture, out var n) && (n >= FirstRealTime || Enum.IsDefined((Signal)n)) => n,
            _ => -1,
        };
        return number is > 0 and <= LastRealTime ? (Signal)number : null;
    }
}
