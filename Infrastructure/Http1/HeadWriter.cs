using System.Buffers;
using System.Buffers.Text;
using System.Text;

namespace Discobot.Infrastructure.Http1;

/// <summary>Collects what is about to be sent in one rented buffer, so that a head and the beginning of its body leave in one piece.</summary>
internal sealed class HeadWriter : IDisposable
{
    private byte[] _buffer = [];
    private int _length;

    public ReadOnlyMemory<byte> Written => _buffer.AsMemory(0, _length);

    public int Length => _length;

    /// <summary>A head's first line and its fields, and the empty line.</summary>
    /// <param name="method">As it is sent.</param>
    /// <param name="target">As it is sent.</param>
    /// <param name="fields">Everything that is to be said, framing included.</param>
    public void AddRequest(string method, string target, IReadOnlyList<KeyValuePair<string, string>> fields)
    {
        Add(method);
        Add(" "u8);
        Add(target);
        Add(" HTTP/1.1\r\n"u8);
        AddFields(fields);
    }

    /// <summary>The first line of an answer; its fields follow.</summary>
    /// <param name="status">100 to 999.</param>
    /// <param name="reason">Latin-1; perhaps empty.</param>
    public void AddStatus(int status, string reason)
    {
        if (status == 200 && reason == "OK")
        {
            Add("HTTP/1.1 200 OK\r\n"u8);
            return;
        }

        Add("HTTP/1.1 "u8);
        Utf8Formatter.TryFormat(status, Room(12), out var digits);
        _length += digits;
        Add(" "u8);
        Add(reason);
        Add("\r\n"u8);
    }

    /// <summary>One field line.</summary>
    public void AddField(ReadOnlySpan<byte> name, ReadOnlySpan<byte> value)
    {
        Add(name);
        Add(": "u8);
        Add(value);
        Add("\r\n"u8);
    }

    /// <summary>Field lines and the empty line.</summary>
    public void AddFields(IReadOnlyList<KeyValuePair<string, string>> fields)
    {
        for (var i = 0; i < fields.Count; i++)
        {
            Add(fields[i].Key);
            Add(": "u8);
            Add(fields[i].Value);
            Add("\r\n"u8);
        }

        Add("\r\n"u8);
    }

    public void Add(ReadOnlySpan<byte> bytes)
    {
        bytes.CopyTo(Room(bytes.Length));
        _length += bytes.Length;
    }

    public void Add(in ReadOnlySequence<byte> bytes)
    {
        bytes.CopyTo(Room((int)bytes.Length));
        _length += (int)bytes.Length;
    }

    /// <summary>The first line of a chunk (RFC 9112, 7.1).</summary>
    public void AddChunkSize(long size)
    {
        Utf8Formatter.TryFormat(size, Room(20), out var digits, new StandardFormat('x'));
        _length += digits;
        Add("\r\n"u8);
    }

    public void Clear() => _length = 0;

    /// <summary>Gives the buffer back; the next byte rents another.</summary>
    public void Dispose()
    {
        if (_buffer.Length > 0)
            ArrayPool<byte>.Shared.Return(_buffer);
        (_buffer, _length) = ([], 0);
    }

    // Strings hold bytes as Latin-1. CR, LF and NUL would begin another line: whoever made the string has refused or mended them.
    private void Add(string text)
    {
        if (text.AsSpan().ContainsAny('\r', '\n', '\0'))
            throw new MalformedMessageException("a field has a line end or NUL in it");
        _length += Encoding.Latin1.GetBytes(text, Room(text.Length));
    }

    private Span<byte> Room(int count)
    {
        if (_buffer.Length - _length < count)
        {
            var larger = ArrayPool<byte>.Shared.Rent(Math.Max(_length + count, Math.Max(4096, _buffer.Length * 2)));
            _buffer.AsSpan(0, _length).CopyTo(larger);
            if (_buffer.Length > 0)
                ArrayPool<byte>.Shared.Return(_buffer);
            _buffer = larger;
        }

        return _buffer.AsSpan(_length);
    }
}
