using System.Text;
using System.Threading.Channels;
using Serilog.Core;
using Serilog.Events;
using Serilog.Formatting;

namespace Discobot.Infrastructure.Logging;

/// <summary>Writes whole lines from one thread of its own, so that a slow reader of stdout never holds a request. When more than
/// 65,536 events wait, further ones are counted and the count is logged: memory stays bounded. Disposing writes what is queued.</summary>
internal sealed class LineSink : ILogEventSink, IDisposable
{
    private const int Waiting = 65_536;
    private const int FlushAt = 32 * 1024;
    private readonly Channel<LogEvent> _queue = Channel.CreateBounded<LogEvent>(
        new BoundedChannelOptions(Waiting) { SingleReader = true, FullMode = BoundedChannelFullMode.Wait });
    private readonly ITextFormatter _formatter;
    private readonly Stream _output;
    private readonly Thread _writer;
    private long _dropped;
    private volatile bool _ended;

    public LineSink(ITextFormatter formatter, Stream output)
    {
        _formatter = formatter;
        _output = output;
        _writer = new Thread(WriteLines) { IsBackground = true, Name = "log" };
        _writer.Start();
    }

    public void Emit(LogEvent logEvent)
    {
        if (!_queue.Writer.TryWrite(logEvent) && !_ended)
            Interlocked.Increment(ref _dropped);
    }

    public void Dispose()
    {
        // What is logged from now on is too late, not too much.
        _ended = true;
        _queue.Writer.TryComplete();
        // A reader that never reads must not hold the end of the process.
        _writer.Join(TimeSpan.FromSeconds(2));
        _output.Dispose();
    }

    private void WriteLines()
    {
        var text = new StringWriter();
        while (_queue.Reader.WaitToReadAsync().AsTask().GetAwaiter().GetResult())
        {
            while (text.GetStringBuilder().Length < FlushAt && _queue.Reader.TryRead(out var next))
                _formatter.Format(next, text);
            if (Interlocked.Exchange(ref _dropped, 0) is > 0 and var dropped)
                text.Write($"WARN  {dropped} log lines were dropped: the log's reader is too slow\n");
            Flush(text.GetStringBuilder());
        }
    }

    private void Flush(StringBuilder text)
    {
        try
        {
            _output.Write(Encoding.UTF8.GetBytes(text.ToString()));
            _output.Flush();
        }
        catch (IOException)
        {
            // The log's reader is gone or its disk is full; requests go on without it.
        }

        text.Clear();
    }
}
