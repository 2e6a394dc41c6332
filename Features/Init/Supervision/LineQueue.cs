using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Text;
using Discobot.Infrastructure.Native;

namespace Discobot.Features.Init.Supervision;

/// <summary>
/// Lines on their way to standard output and standard error, written by a thread of its own: whoever has a line goes on at once, though
/// nobody may read (a terminal after Ctrl-S, a full pipe), or nobody can (EIO of a terminal that is gone). What does not fit is
/// dropped and counted, and the count is written in its place.
/// </summary>
/// <param name="capacity">In bytes.</param>
internal sealed class LineQueue(int capacity = LineQueue.DefaultCapacity) : IDisposable
{
    private const int DefaultCapacity = 8 << 20;
    private const int Interrupted = 4;
    private const int TryAgain = 11;
    private const int IdleLooks = 10;
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(10);
    private static readonly TimeSpan LastLimit = TimeSpan.FromSeconds(3);
    private static readonly TimeSpan Look = TimeSpan.FromMilliseconds(100);
    private readonly Lock _lock = new();
    private readonly Queue<Entry> _lines = new();
    private readonly AutoResetEvent _more = new(false);
    private readonly ManualResetEventSlim _empty = new(true);
    private long _size;
    private long _dropped;
    private bool _started;

    /// <summary>Puts a line in the queue.</summary>
    /// <param name="descriptor">1 or 2.</param>
    /// <param name="line">Without its end.</param>
    public void Add(int descriptor, string line)
    {
        var bytes = Encoding.UTF8.GetBytes(line + "\n");
        lock (_lock)
        {
            if (_size + bytes.Length > capacity)
            {
                _dropped++;
                return;
            }

            TellDropped(descriptor);
            Enqueue(new Entry(descriptor, bytes, 1));
            if (!_started)
                new Thread(Write) { IsBackground = true, Name = "log" }.Start();
            _started = true;
        }
    }

    /// <summary>Lets what is left be written, as long as somebody reads. What is counted are looks and not time: a machine that stood
    /// still let nobody read.</summary>
    public void Dispose()
    {
        var clock = Stopwatch.StartNew();
        for (var (idle, before) = (0, -1L); idle < IdleLooks && clock.Elapsed < LastLimit;)
        {
            if (_empty.Wait(Look))
                return;
            var left = Interlocked.Read(ref _size);
            idle = left == before ? idle + 1 : 0;
            before = left;
        }
    }

    private void TellDropped(int descriptor)
    {
        if (_dropped == 0)
            return;
        var told = $"{InitLog.Prefix}warning: {_dropped} lines of this log were dropped: nobody read them\n";
        Enqueue(new Entry(descriptor, Encoding.UTF8.GetBytes(told), _dropped));
        _dropped = 0;
    }

    private void Enqueue(Entry entry)
    {
        _lines.Enqueue(entry);
        _size += entry.Bytes.Length;
        _empty.Reset();
        _more.Set();
    }

    private void Write()
    {
        for (int? teller = null; ;)
        {
            if (Next(teller) is not { } next)
            {
                // No limit: this thread has nothing else to do, and ends with the process.
                _more.WaitOne();
                continue;
            }

            var written = WriteWhole(next.Descriptor, next.Bytes);
            teller = written ? next.Descriptor : null;
            lock (_lock)
            {
                _lines.Dequeue();
                _size -= next.Bytes.Length;
                if (!written)
                    _dropped += next.Lines;
            }
        }
    }

    // The count goes out with the next line, or at once when there is none; not to whom the last line could not be written.
    private Entry? Next(int? teller)
    {
        lock (_lock)
        {
            if (_lines.Count == 0 && teller is { } descriptor)
                TellDropped(descriptor);
            if (_lines.TryPeek(out var next))
                return next;
            _empty.Set();
            return null;
        }
    }

    // Whoever shares the descriptor may have made it non-blocking.
    private static bool WriteWhole(int descriptor, ReadOnlySpan<byte> bytes)
    {
        while (bytes.Length > 0)
        {
            var written = Libc.Write(descriptor, bytes, (nuint)bytes.Length);
            if (written >= 0)
                bytes = bytes[(int)written..];
            else if (Marshal.GetLastPInvokeError() == TryAgain)
                Thread.Sleep(Pause);
            else if (Marshal.GetLastPInvokeError() != Interrupted)
                return false;
        }

        return true;
    }

    /// <param name="Descriptor">Where it goes.</param>
    /// <param name="Bytes">What is written.</param>
    /// <param name="Lines">How many are lost when it cannot be.</param>
    private sealed record Entry(int Descriptor, byte[] Bytes, long Lines);
}
