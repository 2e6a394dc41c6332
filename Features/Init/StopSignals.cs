using System.Diagnostics;
using System.Runtime.InteropServices;
using Discobot.Infrastructure.Native;

namespace Discobot.Features.Init;

/// <summary>
/// The signals of the container: the first TERM, INT or QUIT asks for the orderly stop, at any moment from the very start; HUP, USR1,
/// USR2 and WINCH are for the agent. Without a handler the kernel gives none of them to process 1.
/// </summary>
internal sealed class StopSignals : IDisposable
{
    private static readonly Signal[] Stops = [Signal.Terminate, Signal.Interrupt, Signal.Quit];
    private static readonly Signal[] Forwarded = [Signal.Hangup, Signal.User1, Signal.User2, Signal.WindowChanged];
    private readonly CancellationTokenSource _stop = new();
    private readonly List<PosixSignalRegistration> _registrations = [];
    private int _asked;
    private long _askedAt;

    public StopSignals()
    {
        foreach (var signal in Stops)
            _registrations.Add(PosixSignalRegistration.Create(Number(signal), context => Stop(context, signal)));
        foreach (var signal in Forwarded)
            _registrations.Add(PosixSignalRegistration.Create(Number(signal), context => Forward(context, signal)));
    }

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
