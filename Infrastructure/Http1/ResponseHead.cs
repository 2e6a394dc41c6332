using System.Text;

namespace Discobot.Infrastructure.Http1;

/// <summary>The head of an answer: status line and fields. Used again for the next one on the same connection.</summary>
internal sealed class ResponseHead
{
    /// <summary>Bytes: what browsers take (curl takes 300 KiB).</summary>
    public const int MaxBytes = 256 << 10;

    private const int VersionLength = 8; // HTTP/1.x

    /// <summary>100 to 999.</summary>
    public int Status { get; private set; }

    /// <summary>0 or 1, for HTTP/1.0 and HTTP/1.1.</summary>
    public int MinorVersion { get; private set; }

    /// <summary>As it came, Latin-1; it may be empty.</summary>
    public string Reason { get; private set; } = "";

    public FieldLines Fields { get; } = new();

    /// <summary>Whether another message follows unless an answer says otherwise: how it says so.</summary>
    public bool KeepsConnection => MinorVersion == 1
        ? !Fields.HasMember("Connection"u8, "close"u8)
        : Fields.HasMember("Connection"u8, "keep-alive"u8) && !Fields.Contains("Transfer-Encoding"u8);

    /// <summary>Reads a head.</summary>
    /// <param name="input">What has arrived.</param>
    /// <param name="scanned">How much of it was looked at before, in vain; kept up to date.</param>
    /// <returns>Bytes taken; 0 when more are needed.</returns>
    /// <exception cref="MalformedMessageException">It is no head.</exception>
    public int Read(ReadOnlySpan<byte> input, ref int scanned)
    {
        // Blank lines before a message are left over from the one before (RFC 9112, 2.2).
        var start = input.IndexOfAnyExcept((byte)'\r', (byte)'\n');
        if (start < 0)
            return input.Length <= MaxBytes ? 0 : throw TooLong();
        var end = MessageHead.EndOf(input, Math.Max(start, scanned));
        if (end < 0)
        {
            scanned = Math.Max(start, input.Length - 2);
            // What begins otherwise is another protocol, which would be waited for in vain.
            if (!MessageHead.MayBeginWith(input[start..], "HTTP/1."u8))
                throw FieldLines.Malformed("a beginning that is not HTTP/1", FirstLine(input[start..]));
            return input.Length - start <= MaxBytes ? 0 : throw TooLong();
        }

        if (end - start > MaxBytes)
            throw TooLong();
        scanned = 0;
        Parse(input[start..end]);
        return end;
    }

    private void Parse(ReadOnlySpan<byte> head)
    {
        // status-line = HTTP-version SP 3DIGIT [ SP reason-phrase ]   (RFC 9112, 4; the last SP is often left out)
        var line = FirstLine(head);
        if (line.Length < VersionLength + 4 || !line.StartsWith("HTTP/1."u8) || line[7] is not ((byte)'0' or (byte)'1')
            || line[VersionLength] != ' ' || !TryStatus(line.Slice(VersionLength + 1, 3), out var status)
            || (line.Length > VersionLength + 4 && line[VersionLength + 4] != ' '))
            throw FieldLines.Malformed("a malformed status line", line);
        (Status, MinorVersion) = (status, line[7] - '0');
        Reason = line.Length > VersionLength + 5 ? ReasonOf(status, line[(VersionLength + 5)..]) : "";
        Fields.Read(head[(head.IndexOf((byte)'\n') + 1)..], Strictness.Answer);
    }

    private static bool TryStatus(ReadOnlySpan<byte> digits, out int status)
    {
        status = 0;
        foreach (var digit in digits)
        {
            if (digit is < (byte)'0' or > (byte)'9')
                return false;
            status = status * 10 + digit - '0';
        }

        return status >= 100;
    }

    private static string ReasonOf(int status, ReadOnlySpan<byte> text)
    {
        if (status == 200 && text.SequenceEqual("OK"u8))
            return "OK";
        var reason = Encoding.Latin1.GetString(text);
        return reason.AsSpan().ContainsAny('\r', '\0') ? reason.Replace('\r', ' ').Replace('\0', ' ') : reason;
    }

    private static ReadOnlySpan<byte> FirstLine(ReadOnlySpan<byte> text)
    {
        var end = text.IndexOf((byte)'\n');
        if (end < 0)
            return text;
        return end > 0 && text[end - 1] == '\r' ? text[..(end - 1)] : text[..end];
    }

    private static MalformedMessageException TooLong() => new($"its head is longer than {MaxBytes >> 10} KiB");
}

/// <summary>What the heads of requests and answers have in common.</summary>
internal static class MessageHead
{
    /// <returns>Behind the empty line that ends a head, or -1.</returns>
    /// <param name="input">What has arrived.</param>
    /// <param name="from">Before this, no empty line begins.</param>
    public static int EndOf(ReadOnlySpan<byte> input, int from)
    {
        while (true)
        {
            var found = input[from..].IndexOf((byte)'\n');
            if (found < 0)
                return -1;
            from += found + 1;
            var rest = input[from..];
            if (rest.StartsWith("\r\n"u8))
                return from + 2;
            if (rest.StartsWith("\n"u8))
                return from + 1;
        }
    }

    /// <summary>Whether the bytes so far are a beginning of <paramref name="text"/>, or have it at theirs.</summary>
    public static bool MayBeginWith(ReadOnlySpan<byte> input, ReadOnlySpan<byte> text) =>
        input.Length < text.Length ? text.StartsWith(input) : input.StartsWith(text);
}
