using System.Globalization;
using Microsoft.Net.Http.Headers;

namespace Discobot.Infrastructure.Wire.Requests;

/// <summary>
/// One byte range of a request (RFC 9110, 14.1.2). Several ranges, other units and malformed ones are no range: the whole body is a right answer
/// to each of them (14.2).
/// </summary>
/// <param name="First">Offset of the first byte; -1 when <paramref name="Last"/> counts from the end.</param>
/// <param name="Last">Offset of the last byte, inclusive; -1 for the end; or, if First is -1, how many bytes at the end.</param>
internal readonly record struct RangeRequest(long First, long Last)
{
    /// <summary>Whether it begins at the first byte and has no end: the whole body, asked for as a range.</summary>
    public bool IsWhole => this is { First: 0, Last: -1 };

    /// <summary>Reads the Range field of a request; null when there is none to honour.</summary>
    public static RangeRequest? Of(HttpRequest request)
    {
        var field = request.Headers.Range;
        if (field.Count != 1 || field[0] is not { } text || !text.StartsWith("bytes=", StringComparison.OrdinalIgnoreCase))
            return null;
        var spec = text.AsSpan("bytes=".Length).Trim();
        var dash = spec.IndexOf('-');
        if (dash < 0 || spec.Contains(',') || !TryRead(spec[..dash], out var first) || !TryRead(spec[(dash + 1)..], out var last))
            return null;
        return (first < 0 && last < 0) || (first >= 0 && last >= 0 && last < first) ? null : new(first, last);
    }

    /// <summary>Fits the range to a body of <paramref name="size"/> bytes.</summary>
    /// <returns>First byte and the byte behind the last; null when no byte of the range exists (416).</returns>
    public (long From, long End)? Within(long size)
    {
        if (First < 0)
            return Last == 0 || size == 0 ? null : (size - Math.Min(size, Last), size);
        if (First >= size)
            return null;
        return (First, Last < 0 || Last >= size ? size : Last + 1);
    }

    /// <summary>Whether the range may be honoured: the If-Range validator, if any, names this very body (RFC 9110, 13.1.5).</summary>
    public static bool IsFor(HttpRequest request, string? etag, string? lastModified)
    {
        if (request.Headers.IfRange is not [{ Length: > 0 } validator])
            return true;
        if (validator.StartsWith('"'))
            return validator == etag;
        return !validator.StartsWith("W/", StringComparison.Ordinal) && lastModified is not null
            && HeaderUtilities.TryParseDate(validator, out var asked) && HeaderUtilities.TryParseDate(lastModified, out var actual) && asked == actual;
    }

    // A number has as many digits as its sender likes (14.1.1); what is beyond 2^63 is beyond every body as well.
    private static bool TryRead(ReadOnlySpan<char> digits, out long number)
    {
        number = -1;
        if (digits.IsEmpty || long.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out number))
            return true;
        number = long.MaxValue;
        return !digits.ContainsAnyExceptInRange('0', '9');
    }
}
