using System.Buffers;
using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.IO.Pipelines;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Server.Kestrel.Core.Features;

namespace Discobot.Features.Interception;

/// <summary>The codes with which a client of HTTP/2 resets its streams (RFC 9113, 6.4). Kestrel keeps them to itself, so they are read from the frames on
/// their way to it.</summary>
/// <param name="input">From the connection preface on.</param>
internal sealed class ClientResets(PipeReader input) : PipeReader
{
    // Who resets more than that before anybody asks gets no code of its own.
    private const int MaxKept = 256;
    private const int HeadSize = 9;
    private const int CodeSize = 4;
    private const byte Reset = 3;

    private readonly ConcurrentDictionary<int, int> _codes = new();
    private readonly byte[] _frame = new byte[HeadSize + CodeSize];
    private ReadOnlySequence<byte> _shown;
    private long _seen;
    private int _kept;
    private int _left = 24;

    /// <summary>Runs <paramref name="next"/> with the codes among the connection's features.</summary>
    public static async Task OnConnectionAsync(ConnectionContext connection, ConnectionDelegate next)
    {
        var original = connection.Transport;
        var resets = new ClientResets(original.Input);
        connection.Features.Set(resets);
        connection.Transport = new Duplex(resets, original.Output);
        try
        {
            await next(connection);
        }
        finally
        {
            connection.Transport = original;
        }
    }

    /// <returns>Tells the code with which the client has reset the request's stream; null: it has not, as far as is known. May be asked at any time.</returns>
    public static Func<int?> Of(HttpContext context)
    {
        if (context.Features.Get<ClientResets>() is not { } resets || context.Features.Get<IHttp2StreamIdFeature>()?.StreamId is not { } stream)
            return static () => null;
        return () => resets._codes.TryGetValue(stream, out var code) ? code : null;
    }

    public override async ValueTask<ReadResult> ReadAsync(CancellationToken cancellationToken = default) => Show(await input.ReadAsync(cancellationToken));

    public override bool TryRead(out ReadResult result)
    {
        var isThere = input.TryRead(out result);
        if (isThere)
            Show(result);
        return isThere;
    }

    public override void AdvanceTo(SequencePosition consumed) => AdvanceTo(consumed, consumed);

    public override void AdvanceTo(SequencePosition consumed, SequencePosition examined)
    {
        _seen -= _shown.Slice(0, consumed).Length;
        _shown = default;
        input.AdvanceTo(consumed, examined);
    }

    public override void CancelPendingRead() => input.CancelPendingRead();

    public override void Complete(Exception? exception = null) => input.Complete(exception);

    // What is left is shown again.
    private ReadResult Show(ReadResult read)
    {
        _shown = read.Buffer;
        foreach (var piece in _shown.Slice(_seen))
            Follow(piece.Span);
        _seen = _shown.Length;
        return read;
    }

    private void Follow(ReadOnlySpan<byte> bytes)
    {
        while (!bytes.IsEmpty)
        {
            var skipped = Math.Min(_left, bytes.Length);
            _left -= skipped;
            bytes = bytes[skipped..];
            if (bytes.IsEmpty)
                return;
            _frame[_kept++] = bytes[0];
            bytes = bytes[1..];
            if (_kept < HeadSize)
                continue;
            var length = _frame[0] << 16 | _frame[1] << 8 | _frame[2];
            if (_frame[3] == Reset && length == CodeSize && _kept < _frame.Length)
                continue;
            if (_kept == _frame.Length)
                Keep();
            else
                _left = length;
            _kept = 0;
        }
    }

    private void Keep()
    {
        if (_codes.Count >= MaxKept)
            _codes.Clear();
        _codes[BinaryPrimitives.ReadInt32BigEndian(_frame.AsSpan(5)) & int.MaxValue] = BinaryPrimitives.ReadInt32BigEndian(_frame.AsSpan(HeadSize));
    }

    private sealed class Duplex(PipeReader input, PipeWriter output) : IDuplexPipe
    {
        public PipeReader Input => input;

        public PipeWriter Output => output;
    }
}
