using System.Runtime.InteropServices;
using Discobot.Infrastructure.Native;

namespace Discobot.Features.Shutdown;

/// <summary>Signals that people and tools send to daemons, whose default is to end or stop the process: as long as this lives, they do not.
/// Handlers, since what is merely ignored would be handed on to programs that are started (execve(2)).</summary>
internal sealed class HarmlessSignals : IDisposable
{
    // signal(7); of these .NET has no names. 14, 16, 26, 27, 29, 30: ALRM, STKFLT, VTALRM, PROF, IO, PWR. 25: XFSZ, after which a file that has
    // reached the limit (`ulimit -f`) takes no more, as on a full disk.
    private static readonly int[] Numbers =
    [
        (int)Signal.User1, (int)Signal.User2, (int)Signal.Pipe, (int)Signal.WindowChanged, (int)Signal.TerminalInput, (int)Signal.TerminalOutput,
        14, 16, 25, 26, 27, 29, 30,
    ];

    private readonly PosixSignalRegistration[] _registrations =
        [.. Numbers.Select(number => PosixSignalRegistration.Create((PosixSignal)number, context => context.Cancel = true))];

    public void Dispose() => Array.ForEach(_registrations, registration => registration.Dispose());
}
