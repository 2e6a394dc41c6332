using System.Buffers.Text;
using System.Text;

namespace Discobot.Infrastructure.Http1;

/// <summary>How the end of a body is found.</summary>
internal enum BodyEnd
{
    /// <summary>There is no body.</summary>
    None,

    /// <summary>After as many bytes as Content-Length says.</summary>
    Length,

    /// <summary>With the last chunk.</summary>
    Chunked,

    /// <summary>When the connection ends. Whether it is whole, nobody can tell.</summary>
    Close,
}

/// <summary>Where a message ends (RFC 9112, 6.3): decided here and nowhere else. What could be read in two ways is refused on requests; on
/// answers the reading that the RFC names is taken, since it is written anew.</summary>
/// <param name="End">What ends the body.</param>
/// <param name="Length">Bytes, for <see cref="BodyEnd.Length"/>.</param>
internal readonly record struct BodyFraming(BodyEnd End, long Length = 0)
{
    /// <summary>The framing of an answer.</summary>
    /// <param name="head">Not of an interim answer, which has no body.</param>
    /// <param name="isHead">Whether it answers HEAD.</param>
    /// <exception cref="MalformedMessageException">Lengths that differ or are none, or a coding that was not asked for.</exception>
    public static BodyFraming OfAnswer(ResponseHead head, bool isHead)
    {
        if (isHead || head.Status is < 200 or 204 or 304)
            return new BodyFraming(BodyEnd.None);
        // Chunks count before a length (6.3, 3).
        if (IsChunked(head.Fields, mayRepeat: true))
            return new BodyFraming(BodyEnd.Chunked);
        return ContentLength(head.Fields) is { } length ? new BodyFraming(BodyEnd.Length, length) : new BodyFraming(BodyEnd.Close);
    }

    /// <summary>The framing of a request.</summary>
    /// <param name="fields">Its fields, read strictly.</param>
    /// <param name="minorVersion">HTTP/1.0 has no transfer codings.</param>
    /// <exception cref="MalformedMessageException">It could be read in two ways.</exception>
    public static BodyFraming OfRequest(FieldLines fields, int minorVersion)
    {
        if (!fields.Contains("Transfer-Encoding"u8))
            return ContentLength(fields) is { } length and > 0 ? new BodyFraming(BodyEnd.Length, length) : new BodyFraming(BodyEnd.None);
        if (fields.Contains("Content-Length"u8))
            throw new MalformedMessageException("it has both Transfer-Encoding and Content-Length");
        if (minorVersion == 0)
            throw new MalformedMessageException("it has Transfer-Encoding, which HTTP/1.0 does not have");
        return IsChunked(fields, mayRepeat: false)
            ? new BodyFraming(BodyEnd.Chunked)
            : throw new MalformedMessageException("it has a transfer coding that does not end with chunks");
    }

    /// <summary>The Content-Length; null where there is none.</summary>
    /// <exception cref="MalformedMessageException">It is no number below 2^63, or there are several that differ.</exception>
    public static long? ContentLength(FieldLines fields)
    {
        long? length = null;
        for (var i = fields.IndexOf("Content-Length"u8, 0); i >= 0; i = fields.IndexOf("Content-Length"u8, i + 1))
        {
            var value = fields.Value(i);
            foreach (var range in value.Split((byte)','))
            {
                var one = Number(value[range].Trim(" \t"u8)) ?? throw FieldLines.Malformed("a malformed Content-Length", value);
                if (length is { } other && other != one)
                    throw FieldLines.Malformed("lengths that differ, in Content-Length", value);
                length = one;
            }
        }

        return length;
    }

    /// <summary>Whether an answer has chunks, or would have them if it had a body.</summary>
    public static bool IsChunked(FieldLines fields)
    {
        try
        {
            return IsChunked(fields, mayRepeat: true);
        }
        catch (MalformedMessageException)
        {
            // Another coding, of a body that does not come.
            return false;
        }
    }

    private static long? Number(ReadOnlySpan<byte> digits) =>
        !digits.IsEmpty && !digits.ContainsAnyExceptInRange((byte)'0', (byte)'9') && Utf8Parser.TryParse(digits, out long value, out var taken)
            && taken == digits.Length ? value : null;

    // A server behind a framework that chunks as well says so in two lines, and chunks once; clients take it.
    private static bool IsChunked(FieldLines fields, bool mayRepeat)
    {
        var chunked = false;
        for (var i = fields.IndexOf("Transfer-Encoding"u8, 0); i >= 0; i = fields.IndexOf("Transfer-Encoding"u8, i + 1))
        {
            var value = fields.Value(i);
            if (chunked && mayRepeat && Ascii.EqualsIgnoreCase(value, "chunked"u8))
                continue;
            foreach (var range in value.Split((byte)','))
            {
                var coding = value[range].Trim(" \t"u8);
                // "identity" is what RFC 2616 called no coding at all; servers of its time still say it.
                if (coding.IsEmpty || (Ascii.EqualsIgnoreCase(coding, "identity"u8) && !chunked))
                    continue;
                // Nobody asks for others (TE is not passed on), and nobody behind us could undo them.
                if (chunked || !Ascii.EqualsIgnoreCase(coding, "chunked"u8))
                    throw FieldLines.Malformed("a transfer coding other than chunked", value);
                chunked = true;
            }
        }

        return chunked;
    }
}
