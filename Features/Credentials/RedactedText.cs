using System.Buffers;
using System.Text;

namespace Discobot.Features.Credentials;

/// <summary>
/// One text that is sought in answers: each of its characters as it is, percent-encoded, or escaped as JSON may. Which of them a server encodes, and
/// in which case it writes the digits, is its own affair.
/// </summary>
/// <param name="sought">Visible ASCII; not empty.</param>
/// <param name="shown">What takes its place.</param>
internal sealed class RedactedText(string sought, string shown)
{
    private const int NeedsMore = -1;

    private readonly byte[] _sought = Encoding.ASCII.GetBytes(sought);

    // What escapes begin with may be part of the text itself.
    private readonly bool _isAmbiguous = sought.AsSpan().ContainsAny('%', '\\');

    public string Sought => sought;

    public byte[] Shown { get; } = Encoding.ASCII.GetBytes(shown);

    /// <returns>How many bytes at the beginning are the text; 0: it does not stand there; -1: it does if the right ones follow.</returns>
    public int Match(ReadOnlySpan<byte> bytes)
    {
        var spelled = MatchSpelled(bytes);
        if (!_isAmbiguous)
            return spelled;
        var exact = bytes.StartsWith(_sought) ? _sought.Length : _sought.AsSpan().StartsWith(bytes) ? NeedsMore : 0;
        return Math.Max(spelled, exact) is var most and > 0 ? most : Math.Min(spelled, exact);
    }

    private int MatchSpelled(ReadOnlySpan<byte> bytes)
    {
        var at = 0;
        foreach (var character in _sought)
        {
            var length = MatchCharacter(bytes[at..], (char)character);
            if (length <= 0)
                return length;
            at += length;
        }

        return at;
    }

    private static int MatchCharacter(ReadOnlySpan<byte> bytes, char character)
    {
        if (bytes.IsEmpty)
            return NeedsMore;
        var escaped = (char)bytes[0] switch
        {
            '%' => MatchDigits(bytes, 1, $"{(int)character:x2}"),
            '\\' when bytes.Length == 1 => NeedsMore,
            '\\' when bytes[1] == 'u' => MatchDigits(bytes, 2, $"{(int)character:x4}"),
            '\\' when bytes[1] == character && character is '/' or '"' or '\\' => 2,
            _ => 0,
        };
        return escaped == 0 && bytes[0] == character ? 1 : escaped;
    }

    private static int MatchDigits(ReadOnlySpan<byte> bytes, int from, string digits)
    {
        for (var i = 0; i < digits.Length; i++)
        {
            if (from + i >= bytes.Length)
                return NeedsMore;
            if (char.ToLowerInvariant((char)bytes[from + i]) != digits[i])
                return 0;
        }

        return from + digits.Length;
    }
}

/// <summary>What is sought in one answer.</summary>
/// <param name="texts">Not empty.</param>
/// <param name="sameLength">Asterisks are shown, as many as there were bytes.</param>
internal sealed class RedactedTexts(IReadOnlyList<RedactedText> texts, bool sameLength)
{
    private readonly SearchValues<byte> _starts = SearchValues.Create([.. texts.Select(text => (byte)text.Sought[0]), (byte)'%', (byte)'\\']);

    /// <summary>Copies what comes with the texts replaced: the longest, of those that begin at the same place.</summary>
    /// <param name="body">What was held back before, and what follows it.</param>
    /// <param name="isLast">Nothing follows.</param>
    /// <param name="output">Where it goes.</param>
    /// <returns>How many bytes at the end are held back, as they may be the beginning of a text, and whether anything was replaced.</returns>
    public (int Held, bool Replaced) Copy(ReadOnlySpan<byte> body, bool isLast, IBufferWriter<byte> output)
    {
        var (from, at, replaced) = (0, 0, false);
        while (body[at..].IndexOfAny(_starts) is var next and >= 0)
        {
            at += next;
            var (found, length) = Longest(body[at..], isLast);
            if (length < 0)
            {
                output.Write(body[from..at]);
                return (body.Length - at, replaced);
            }

            if (found is null)
            {
                at++;
                continue;
            }

            output.Write(body[from..at]);
            output.Write(sameLength ? Encoding.ASCII.GetBytes(new string('*', length)) : found.Shown);
            (from, at, replaced) = (at + length, at + length, true);
        }

        output.Write(body[from..]);
        return (0, replaced);
    }

    private (RedactedText? Found, int Length) Longest(ReadOnlySpan<byte> bytes, bool isLast)
    {
        RedactedText? found = null;
        var longest = 0;
        foreach (var text in texts)
        {
            var length = text.Match(bytes);
            if (length < 0 && !isLast)
                return (null, length);
            if (length > longest)
                (found, longest) = (text, length);
        }

        return (found, longest);
    }
}
