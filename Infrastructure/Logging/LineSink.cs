using Serilog.Core;
using Serilog.Events;
using Serilog.Formatting;
using Serilog.Parsing;

namespace Discobot.Infrastructure.Logging;

/// <summary>Writes whole lines from one thread of its own, so that a slow reader of stdout never holds a request. When more than 16 MiB
/// wait, further lines are counted and the count is logged: memory stays bounded. Disposing writes what waits. Serilog's own sink
/// for this (Serilog.Sinks.Async) limits a count of events, whatever their size.</summary>
internal sealed class LineSink : ILogEventSink, IDisposable
{
    /// <summary>Bytes.</summary>
    private const int MaxWaiting = 16 << 20;

    /// <summary>How long a line waits for others: the writer then wakes a hundred times a second at most, and not for each line. Measured with
    /// bench/run.sh on two cores, together with the rest of this folder: 13 of 54 CPU-microseconds of a small cached answer.</summary>
    private static readonly TimeSpan Gathering = TimeSpan.FromMilliseconds(10);

    private readonly Lock _lock = new();
    private readonly AutoResetEvent _waiting = new(false);
    private readonly ManualResetEventSlim _ended = new(false, spinCount: 0);
    private readonly ITextFormatter _formatter;
    private readonly Stream _output;
    private readonly Thread _writer;
    private Utf8Text _lines = new();
    private Utf8Text _written = new();
    private long _dropped;

    public LineSink(ITextFormatter formatter, Stream output)
    {
        (_formatter, _output) = (formatter, output);
        _writer = new Thread(WriteLines) { IsBackground = true, Name = "log" };
        _writer.Start();
    }

    public void Emit(LogEvent logEvent)
    {
        bool first;
        lock (_lock)
        {
            // What is logged after the end is too late, not too much.
            if (_ended.IsSet)
                return;
            if (_lines.Bytes.Length > MaxWaiting)
            {
                _dropped++;
                return;
            }

            first = _lines.Bytes.IsEmpty;
            _formatter.Format(logEvent, _lines);
        }

        if (first)
            _waiting.Set();
    }

    public void Dispose()
    {
        lock (_lock)
            _ended.Set();
        _waiting.Set();
        // A reader that never reads must not hold the end of the process. What the writer uses is then left to it.
        if (_writer.Join(TimeSpan.FromSeconds(2)))
        {
            _waiting.Dispose();
            _ended.Dispose();
        }

        _output.Dispose();
    }

    private void WriteLines()
    {
        for (var last = false; !last;)
        {
            // No limit: this thread has nothing else to do.
            _waiting.WaitOne();
            last = _ended.Wait(Gathering);
            lock (_lock)
            {
                (_lines, _written) = (_written, _lines);
                if (_dropped > 0)
                    _formatter.Format(Dropped(_dropped), _written);
                _dropped = 0;
            }

            Flush();
        }
    }

    private static LogEvent Dropped(long count) => new(
        DateTimeOffset.UtcNow, LogEventLevel.Warning, null, new MessageTemplateParser().Parse("{Count} log lines were dropped: the log's reader is too slow"),
        [new LogEventProperty("Count", new ScalarValue(count))]);

    private void Flush()
    {
        try
        {
            _output.Write(_written.Bytes);
            _output.Flush();
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException)
        {
            // The log's reader is gone or its disk is full; requests go on without it.
        }

        _written.Clear();
    }
}
