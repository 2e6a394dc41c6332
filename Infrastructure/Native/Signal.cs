namespace Discobot.Infrastructure.Native;

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
    Terminate = 15,
    Child = 17,
    TerminalStop = 20,
    TerminalInput = 21,
    TerminalOutput = 22,
    WindowChanged = 28,
}

internal static class SignalNames
{
    /// <summary>As in <c>kill -l</c>: <c>TERM</c>, <c>HUP</c> …</summary>
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
        _ => ((int)signal).ToString(System.Globalization.CultureInfo.InvariantCulture),
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

        return null;
    }
}
