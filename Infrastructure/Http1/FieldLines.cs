using System.Buffers;
using System.Text;

namespace Discobot.Infrastructure.Http1;

/// <summary>A message that cannot be read, or could be read in two ways. The text says which line it is.</summary>
internal sealed class MalformedMessageException(string message) : IOException(message);

/// <summary>How much of what RFC 9112 calls invalid is read all the same.</summary>
internal enum Strictness
{
    /// <summary>Requests: whatever another parser might read differently is refused.</summary>
    Request,

    /// <summary>Answers: what clients take is mended, since it is written anew in the one form that cannot be misread (RFC 9112, 2.2, 5.1, 5.2).</summary>
    Answer,
}

/// <summary>The field lines of a head, kept as the bytes that arrived; an index says where names and values lie. Used again for the next head:
/// what was read from it is valid until then.</summary>
internal sealed class FieldLines
{
    private static readonly SearchValues<byte> Token =
        SearchValues.Create("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"u8);

    private byte[] _bytes = new byte[1024];
    private Line[] _lines = new Line[24];

    public int Count { get; private set; }

    /// <summary>Names of methods and fields (RFC 9110, 5.6.2).</summary>
    public static bool IsToken(ReadOnlySpan<byte> name) => !name.IsEmpty && !name.ContainsAnyExcept(Token);

    public ReadOnlySpan<byte> Name(int line) => _bytes.AsSpan(_lines[line].Name, _lines[line].NameLength);

    /// <summary>Without the blanks around it; never with CR, LF or NUL.</summary>
    public ReadOnlySpan<byte> Value(int line) => _bytes.AsSpan(_lines[line].Value, _lines[line].ValueLength);

    /// <summary>Whether a field of this name is there.</summary>
    /// <param name="name">In whatever case.</param>
    public bool Contains(ReadOnlySpan<byte> name) => IndexOf(name, 0) >= 0;

    /// <returns>The line from <paramref name="from"/> on that has this name, or -1.</returns>
    public int IndexOf(ReadOnlySpan<byte> name, int from)
    {
        for (var i = from; i < Count; i++)
        {
            if (_lines[i].NameLength == name.Length && Ascii.EqualsIgnoreCase(Name(i), name))
                return i;
        }

        return -1;
    }

    /// <summary>Whether a list field, on whichever of its lines, has this member (RFC 9110, 5.6.1).</summary>
    public bool HasMember(ReadOnlySpan<byte> name, ReadOnlySpan<byte> member)
    {
        for (var i = IndexOf(name, 0); i >= 0; i = IndexOf(name, i + 1))
        {
            if (ListHas(Value(i), member))
                return true;
        }

        return false;
    }

    /// <summary>Reads field lines up to the empty line, which may be missing.</summary>
    /// <exception cref="MalformedMessageException">One of them cannot be read.</exception>
    public void Read(ReadOnlySpan<byte> text, Strictness strictness)
    {
        Count = 0;
        if (_bytes.Length < text.Length)
            _bytes = new byte[text.Length];
        text.CopyTo(_bytes);
        var bytes = _bytes.AsSpan(0, text.Length);
        for (var at = 0; at < bytes.Length;)
        {
            var (end, next) = EndOfLine(bytes, at, strictness);
            if (end == at)
                return;
            // obs-fold (RFC 9112, 5.2): the line goes on, behind blanks.
            while (next < bytes.Length && bytes[next] is (byte)' ' or (byte)'\t')
            {
                if (strictness == Strictness.Request)
                    throw Malformed("a field that goes on in the next line", NameOf(bytes[at..end]));
                bytes[end..next].Fill((byte)' ');
                (end, next) = EndOfLine(bytes, next, strictness);
            }

            Add(bytes, at, end, strictness);
            at = next;
        }
    }

    private static (int End, int Next) EndOfLine(Span<byte> bytes, int at, Strictness strictness)
    {
        var length = bytes[at..].IndexOf((byte)'\n');
        if (length < 0)
            return (bytes.Length, bytes.Length);
        var end = at + length;
        if (end > at && bytes[end - 1] == '\r')
            return (end - 1, end + 1);
        return strictness == Strictness.Answer ? (end, end + 1) : throw Malformed("a line that ends with LF alone", NameOf(bytes[at..end]));
    }

    private void Add(Span<byte> bytes, int start, int end, Strictness strictness)
    {
        var line = bytes[start..end];
        if (line.ContainsAny((byte)'\r', (byte)0))
            Mend(line, strictness);
        var colon = line.IndexOf((byte)':');
        // Lines without a colon are taken for names without a value.
        var name = line[..(colon < 0 ? line.Length : colon)];
        if (strictness == Strictness.Request && (colon <= 0 || name.ContainsAnyExcept(Token)))
            throw Malformed(colon < 0 ? "a line without a colon" : "a field whose name is no token", NameOf(line));
        var (from, to) = Trim(name);
        if (to == from)
            return;
        var value = line[(name.Length + (colon < 0 ? 0 : 1))..];
        var (valueFrom, valueTo) = Trim(value);
        if (Count == _lines.Length)
            Array.Resize(ref _lines, Count * 2);
        _lines[Count++] = new Line(start + from, to - from, end - value.Length + valueFrom, valueTo - valueFrom);
    }

    // RFC 9112, 2.2, and RFC 9110, 5.5: refuse, or make blanks of them.
    private static void Mend(Span<byte> line, Strictness strictness)
    {
        if (strictness == Strictness.Request)
            throw Malformed("a CR or NUL within a line", NameOf(line));
        for (var at = line.IndexOfAny((byte)'\r', (byte)0); at >= 0; at = line.IndexOfAny((byte)'\r', (byte)0))
            line[at] = (byte)' ';
    }

    private static (int From, int To) Trim(ReadOnlySpan<byte> text)
    {
        var (from, to) = (0, text.Length);
        while (from < to && text[from] is (byte)' ' or (byte)'\t')
            from++;
        while (to > from && text[to - 1] is (byte)' ' or (byte)'\t')
            to--;
        return (from, to);
    }

    private static bool ListHas(ReadOnlySpan<byte> list, ReadOnlySpan<byte> member)
    {
        foreach (var range in list.Split((byte)','))
        {
            var (from, to) = Trim(list[range]);
            if (Ascii.EqualsIgnoreCase(list[range][from..to], member))
                return true;
        }

        return false;
    }

    // What clients send as a value is nobody's business.
    private static ReadOnlySpan<byte> NameOf(ReadOnlySpan<byte> line) => line[..Math.Max(0, line.IndexOf((byte)':'))];

    /// <summary>The exception for a line, which it quotes so that it can be shown anywhere.</summary>
    internal static MalformedMessageException Malformed(string what, ReadOnlySpan<byte> line)
    {
        var shown = new StringBuilder();
        foreach (var one in line[..Math.Min(line.Length, 60)])
            shown.Append(one is >= 0x20 and < 0x7f ? (char)one : '?');
        return new($"it has {what}: \"{shown}{(line.Length > 60 ? "…" : "")}\"");
    }

    private readonly record struct Line(int Name, int NameLength, int Value, int ValueLength);
}
