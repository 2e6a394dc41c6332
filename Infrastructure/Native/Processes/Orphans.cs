using System.Runtime.InteropServices;

namespace Discobot.Infrastructure.Native.Processes;

/// <summary>
/// Reaps processes that were left to us by their parents. For process 1 the .NET runtime does that, once something watches for ended
/// children: from here on this does. For a subreaper (<c>docker run --init</c>) it takes only those that it started itself, at once; so
/// whoever has waited for a second is nobody's, and no exit code is lost by taking him.
/// </summary>
internal sealed class Orphans : IDisposable
{
    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(1);
    private readonly PosixSignalRegistration _registration;
    private readonly CancellationTokenSource _end = new();
    private int _looking;

    public Orphans()
    {
        // Not process 1: orphans come to us all the same, and the stop finds them.
        _ = Libc.ProcessControl(Libc.SetChildSubreaper, 1, 0, 0, 0);
        _registration = PosixSignalRegistration.Create(PosixSignal.SIGCHLD, _ => Look());
    }

    public void Dispose()
    {
        _registration.Dispose();
        _end.Cancel();
    }

    private void Look()
    {
        if (Environment.ProcessId != 1 && Interlocked.Exchange(ref _looking, 1) == 0)
            _ = ReapAsync(_end.Token).ContinueWith(static _ => { }, TaskScheduler.Default);
    }

    private async Task ReapAsync(CancellationToken cancellationToken)
    {
        for (var before = Zombies(); before.Count > 0;)
        {
            await Task.Delay(Pause, cancellationToken);
            var now = Zombies();
            foreach (var id in now.Where(before.Contains))
                _ = Libc.Wait(id, 0, Libc.NoHang);
            now.ExceptWith(before);
            before = now;
        }

        // One more may have ended between the last look and this.
        Volatile.Write(ref _looking, 0);
        if (Zombies().Count > 0)
            Look();
    }

    private static HashSet<int> Zombies() => [.. ProcessTree.Read().ZombiesOf(Environment.ProcessId)];
}
