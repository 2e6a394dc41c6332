using System.Diagnostics;
using System.Runtime.InteropServices;
using Discobot.Infrastructure.Native;

namespace Discobot.Features.Init.Supervision;

/// <summary>
/// The signals of the container: the first TERM, INT or QUIT asks for the orderly stop, at any moment from the very start, and so does
/// every other whose meaning is to end a program, since an image may name any as its stop signal (<c>SIGRTMIN+3</c>, <c>SIGPWR</c>). HUP,
/// USR1, USR2 and WINCH are for the agent, unless <c>DISCOBOT_STOP_SIGNAL</c> names one of them. Without a handler the kernel gives none of
/// them to process 1.
/// </summary>
internal sealed class StopSignals : IDisposable
{
    public const string Variable = "DISCOBOT_STOP_SIGNAL";
    private const int LastRealTime = 64;

    // Those of a program's own fault or limit are not among them: what process 1 itself does (PIPE, XFSZ) would stop the container.
    // SIGIO to SIGSTKFLT are nobody's in a container: their default is to end.
    private static readonly Signal[] Stops =
    [
        Signal.Terminate, Signal.Interrupt, Signal.Quit, Signal.PowerFailure, Signal.Alarm, Signal.VirtualAlarm, Signal.Profiling,
        Signal.InputOutput, Signal.StackFault, .. RealTime(),
    ];
    private static readonly Signal[] Forwarded = [Signal.Hangup, Signal.User1, Signal.User2, Signal.WindowChanged];
    private readonly CancellationTokenSource _stop = new();
    private readonly List<PosixSignalRegistration> _registrations = [];
    private int _asked;
    private long _askedAt;

    /// <param name="stopSignal">A signal of the agent's that asks for the stop instead, by its name.</param>
    public StopSignals(string? stopSignal = null)
    {
        var own = stopSignal is null ? null : SignalNames.FromName(stopSignal);
        foreach (var signal in Stops.Concat(Forwarded.Where(s => s == own)))
            _registrations.Add(PosixSignalRegistration.Create(Number(signal), context => Stop(context, signal)));
        foreach (var signal in Forwarded.Where(s => s != own))
            _registrations.Add(PosixSignalRegistration.Create(Number(signal), context => Forward(context, signal)));
    }

    /// <summary>Whether a signal may be named as the one that asks for the stop.</summary>
    public static bool CanStop(Signal signal) => Stops.Contains(signal) || Forwarded.Contains(signal);

    /// <summary>Cancelled when a stop is asked for.</summary>
    public CancellationToken Requested => _stop.Token;

    /// <summary>The signal that asked; null as long as none did.</summary>
    public Signal? First => _asked == 0 ? null : (Signal)_asked;

    /// <summary>How long ago the first one asked; nothing as long as none did.</summary>
    public TimeSpan Since => _asked == 0 ? TimeSpan.Zero : Stopwatch.GetElapsedTime(_askedAt);

    /// <summary>Who gets the forwarded signals.</summary>
    public RunningProcesses? Receiver { get; set; }

    public void Dispose()
    {
        foreach (var registration in _registrations)
            registration.Dispose();
        _stop.Dispose();
    }

    // The lowest is the runtime's own, by which it stops threads for the garbage collector.
    private static IEnumerable<Signal> RealTime()
    {
        var first = Libc.FirstRealTimeSignal() + 1;
        return Enumerable.Range(first, LastRealTime - first + 1).Select(number => (Signal)number);
    }

    // .NET has names for some signals and takes raw numbers for the others.
    private static PosixSignal Number(Signal signal) => signal switch
    {
        Signal.Terminate => PosixSignal.SIGTERM,
        Signal.Interrupt => PosixSignal.SIGINT,
        Signal.Quit => PosixSignal.SIGQUIT,
        Signal.Hangup => PosixSignal.SIGHUP,
        _ => (PosixSignal)(int)signal,
    };

    private void Stop(PosixSignalContext context, Signal signal)
    {
        context.Cancel = true;
        if (First is not null)
            return;
        _askedAt = Stopwatch.GetTimestamp();
        if (Interlocked.CompareExchange(ref _asked, (int)signal, 0) == 0)
            _stop.Cancel();
    }

    private void Forward(PosixSignalContext context, Signal signal)
    {
        context.Cancel = true;
        Receiver?.AgentApi?.SendToGroup(signal);
    }
}
