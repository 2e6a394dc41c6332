using System.Runtime.InteropServices;

namespace Discobot.Infrastructure.Http1;

/// <summary>
/// Reads the framing of a chunked body (RFC 9112, 7.1), a byte at a time, wherever the reads end; the data between is not touched.
/// </summary>
/// <remarks>
/// chunk = size [ extensions ] CRLF data CRLF; last = "0" [ extensions ] CRLF trailers CRLF. Extensions are dropped. Answers may end lines with LF
/// alone and pad sizes with blanks, as servers do.
/// </remarks>
internal sealed class ChunkedDecoder(Strictness strictness)
{
    /// <summary>Bytes of a chunk's first line; there is no use for longer ones (CVE-2023-39326).</summary>
    private const int MaxLine = 4096;

    /// <summary>Bytes: as the head.</summary>
    private const int MaxTrailers = ResponseHead.MaxBytes;

    private readonly List<byte> _trailers = [];
    private State _state = State.Size;
    private long _size;
    private int _line;
    private bool _blank;

    private enum State
    {
        Size,
        Extension,
        SizeEnd,
        Data,
        DataEnd,
        DataEndLine,
        Trailers,
        Done,
    }

    /// <summary>Bytes of data that come next; 0 when framing comes first, or all is over.</summary>
    public long DataLeft => _state == State.Data ? _size : 0;

    /// <summary>The body and its trailers have ended.</summary>
    public bool IsDone => _state == State.Done;

    /// <summary>The fields after the body; complete when <see cref="IsDone"/>.</summary>
    public FieldLines? Trailers { get; private set; }

    /// <summary>Begins another body.</summary>
    public void Reset()
    {
        (_state, _size, _line, _blank, Trailers) = (State.Size, 0, 0, false, null);
        _trailers.Clear();
    }

    /// <summary>Takes framing, up to the next data or the end of the body.</summary>
    /// <returns>Bytes taken. Fewer than given, unless more framing is needed.</returns>
    /// <exception cref="MalformedMessageException">It is malformed.</exception>
    public int Advance(ReadOnlySpan<byte> input)
    {
        for (var at = 0; at < input.Length; at++)
        {
            if (_state is State.Data or State.Done)
                return at;
            Take(input[at]);
        }

        return input.Length;
    }

    /// <summary>Notes that data was read.</summary>
    /// <param name="count">At most <see cref="DataLeft"/>.</param>
    public void ReadData(long count)
    {
        _size -= count;
        if (_size == 0)
            _state = State.DataEnd;
    }

    private void Take(byte one)
    {
        switch (_state)
        {
            case State.Size:
                TakeSize(one);
                break;
            case State.Extension:
                if (one == '\r')
                    _state = State.SizeEnd;
                else if (one == '\n')
                    EndSize(bare: true);
                else if (one == 0)
                    throw Malformed("NUL in a chunk's extension");
                break;
            case State.SizeEnd:
                EndSize(one == '\n' ? false : throw Malformed("a CR without LF after a chunk's size"));
                break;
            case State.DataEnd:
                if (one == '\r')
                    _state = State.DataEndLine;
                else
                    NextChunk(one, bare: true);
                break;
            case State.DataEndLine:
                NextChunk(one, bare: false);
                break;
            case State.Trailers:
                TakeTrailer(one);
                break;
        }

        if (_state is State.Size or State.Extension && ++_line > MaxLine)
            throw Malformed("a chunk whose first line is too long");
    }

    private void TakeSize(byte one)
    {
        var digit = HexValue(one);
        if (digit >= 0 && !_blank)
        {
            // The highest bit stays free: 2^63 is no length.
            if (_size > long.MaxValue >> 4)
                throw Malformed("a chunk's size beyond 2^63");
            _size = _size << 4 | (uint)digit;
            return;
        }

        if (_line == 0)
            throw Malformed("a chunk without a size");
        switch (one)
        {
            case (byte)'\r':
                _state = State.SizeEnd;
                break;
            case (byte)'\n':
                EndSize(bare: true);
                break;
            case (byte)';':
                _state = State.Extension;
                break;
            case (byte)' ' or (byte)'\t' when strictness == Strictness.Answer:
                _blank = true;
                break;
            default:
                throw Malformed("a malformed chunk size");
        }
    }

    private void EndSize(bool bare)
    {
        if (bare && strictness == Strictness.Request)
            throw Malformed("a LF without CR after a chunk's size");
        (_state, _line, _blank) = (_size > 0 ? State.Data : State.Trailers, 0, false);
    }

    private void NextChunk(byte one, bool bare)
    {
        if (one != '\n' || (bare && strictness == Strictness.Request))
            throw Malformed("a chunk longer than its size");
        // Take counts this byte as the first of the line.
        (_state, _size, _line) = (State.Size, 0, -1);
    }

    private void TakeTrailer(byte one)
    {
        if (_trailers.Count == MaxTrailers)
            throw Malformed("trailers that are too long");
        _trailers.Add(one);
        var text = CollectionsMarshal.AsSpan(_trailers);
        if (text is not [.., (byte)'\n', (byte)'\r', (byte)'\n'] and not [.., (byte)'\n', (byte)'\n'] and not [(byte)'\r', (byte)'\n'] and not [(byte)'\n'])
            return;
        _state = State.Done;
        if (_trailers.Count > 2)
            (Trailers = new FieldLines()).Read(text, strictness);
        else if (_trailers.Count == 1 && strictness == Strictness.Request)
            throw Malformed("a LF without CR after the last chunk");
    }

    private static int HexValue(byte one) => one switch
    {
        >= (byte)'0' and <= (byte)'9' => one - '0',
        >= (byte)'a' and <= (byte)'f' => one - 'a' + 10,
        >= (byte)'A' and <= (byte)'F' => one - 'A' + 10,
        _ => -1,
    };

    private static MalformedMessageException Malformed(string what) => new($"its body has {what}");
}
