using System.Buffers;
using System.Text.Json;
using Discobot.Infrastructure.Logging;

namespace Discobot.Features.Audit;

/// <summary>
/// The audit log: one line for each flow that is over, written by one thread of its own. Who serves a client only puts the flow into a queue; when that
/// is full, because the disk is slow, full or gone, flows are counted, and the file says how many are missing.
/// </summary>
internal sealed partial class AuditLog : IFlowObserver, IDisposable
{
    /// <summary>Bytes of memory that flows may take while they wait.</summary>
    private const long MaxWaiting = 16 << 20;

    /// <summary>How long a flow waits for others.</summary>
    private static readonly TimeSpan Gathering = TimeSpan.FromMilliseconds(50);

    /// <summary>How long what is written waits for the names of the programs, in milliseconds.</summary>
    private const long LongestSearch = 400;

    /// <summary>How often a file that could not be opened is tried again.</summary>
    private static readonly TimeSpan TryAgain = TimeSpan.FromSeconds(5);

    private readonly Lock _lock = new();
    private readonly AutoResetEvent _waiting = new(false);
    private readonly ManualResetEventSlim _ended = new(false, spinCount: 0);
    private readonly ArrayBufferWriter<byte> _lines = new(32 << 10);
    private readonly Utf8JsonWriter _json;
    private readonly FlowLine _line;
    private readonly string _path;
    private readonly AuditOptions _options;
    private readonly ILogger<AuditLog> _log;
    private readonly Thread _writer;
    private List<Flow> _flows = [];
    private List<Flow> _taken = [];
    private long _weight;
    private long _dropped;
    private long _lost;
    private LogFile? _file;
    private long _tried = long.MinValue;
    private bool _isTold;

    /// <param name="path">The file.</param>
    /// <param name="line">What a line says.</param>
    public AuditLog(AuditOptions options, string path, FlowLine line, ILogger<AuditLog> log)
    {
        (_options, _path, _line, _log, _json) = (options, path, line, log, new Utf8JsonWriter(_lines, FlowLine.Format));
        _file = TryOpen();
        _writer = new Thread(WriteLines) { IsBackground = true, Name = "audit" };
        _writer.Start();
    }

    public void Ended(Flow flow)
    {
        bool first;
        lock (_lock)
        {
            // What ends after the end is too late, not too much.
            if (_ended.IsSet)
                return;
            if (_weight > MaxWaiting)
            {
                _dropped++;
                return;
            }

            first = _flows.Count == 0;
            _weight += flow.Weight;
            _flows.Add(flow);
        }

        if (first)
            _waiting.Set();
    }

    /// <summary>Before the next lines, the path is opened again.</summary>
    public void Reopen() => _file?.Reopen();

    public void Dispose()
    {
        lock (_lock)
        {
            if (_ended.IsSet)
                return;
            _ended.Set();
        }

        _waiting.Set();
        // A disk that takes nothing must not hold the end of the process. What the writer uses is then left to it.
        if (!_writer.Join(TimeSpan.FromSeconds(2)))
            return;
        _waiting.Dispose();
        _ended.Dispose();
        _json.Dispose();
        _file?.Dispose();
    }

    private void WriteLines()
    {
        for (var last = false; !last;)
        {
            _waiting.WaitOne();
            last = _ended.Wait(Gathering);
            long dropped;
            lock (_lock)
            {
                (_flows, _taken) = (_taken, _flows);
                (dropped, _dropped, _weight) = (_dropped, 0, 0);
            }

            Write(_taken, dropped + _lost);
            _taken.Clear();
        }
    }

    private void Write(List<Flow> flows, long dropped)
    {
        _lines.ResetWrittenCount();
        Await(flows);
        foreach (var flow in flows)
        {
            _line.Write(_json, flow);
            EndLine();
        }

        if (dropped > 0)
        {
            _json.WriteStartObject();
            FlowLine.WriteTime(_json, "time"u8, DateTimeOffset.UtcNow);
            _json.WriteNumber("dropped"u8, dropped);
            _json.WriteEndObject();
            EndLine();
        }

        _file ??= TryOpen();
        try
        {
            if (_file is not null)
            {
                _file.Write(_lines.WrittenSpan);
                (_lost, _isTold) = (0, false);
                return;
            }
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException)
        {
            Tell(e.Message);
        }

        _lost = dropped + flows.Count;
    }

    // A client that asks one thing and leaves is named too.
    private static void Await(List<Flow> flows)
    {
        var until = Environment.TickCount64 + LongestSearch;
        foreach (var flow in flows)
        {
            while (flow.Client is { IsSought: true } && Environment.TickCount64 < until)
                Thread.Sleep(5);
        }
    }

    private void EndLine()
    {
        _json.Flush();
        _json.Reset();
        _lines.Write("\n"u8);
    }

    private LogFile? TryOpen()
    {
        if (_tried != long.MinValue && Environment.TickCount64 - _tried < TryAgain.TotalMilliseconds)
            return null;
        _tried = Environment.TickCount64;
        try
        {
            Directory.CreateDirectory(Path.GetDirectoryName(_path)!);
            return new LogFile(_path, _options.MaxSize, _options.Keep);
        }
        catch (Exception e) when (DiskFailure.Is(e))
        {
            Tell(e.Message);
            return null;
        }
    }

    // Once, until it goes on.
    private void Tell(string reason)
    {
        if (!_isTold)
            LogNotWritten(_path, reason);
        _isTold = true;
    }

    [LoggerMessage(Level = LogLevel.Error, Message = "audit not written {File} {Reason}")]
    private partial void LogNotWritten(string file, string reason);
}
