using System.Buffers;
using System.Text;
using Discobot.Infrastructure.Wire;
using Microsoft.Extensions.Primitives;

namespace Discobot.Features.Interception.Entries;

/// <summary>The outcome of reading the head of a CONNECT request.</summary>
/// <param name="Target">Where to, when <paramref name="Error"/> is null.</param>
/// <param name="Authorization">The fields of that name for this proxy (RFC 9110, 11.7.2); holds a password.</param>
/// <param name="Error">What to answer instead.</param>
internal readonly record struct ConnectHead(ConnectTarget Target, StringValues Authorization, ProxyError? Error)
{
    /// <summary>Upper limit of the head in bytes.</summary>
    public const int MaxBytes = 64 * 1024;

    private const int MaxFields = 200;

    /// <summary>For a head that does not come to its end in time.</summary>
    public static ConnectHead TooSlow => Bad(408, "slow_head", "The head of the request took too long (proxy.read_timeout).");

    /// <summary>Tries to take a whole head (request line, fields, empty line; RFC 9112) from the start of <paramref name="buffer"/>.</summary>
    /// <returns>False while it is incomplete. When true, <paramref name="consumed"/> is the first byte after the head.</returns>
    public static bool TryRead(ReadOnlySequence<byte> buffer, out ConnectHead head, out SequencePosition consumed)
    {
        head = default;
        consumed = buffer.Start;
        var reader = new SequenceReader<byte>(buffer);
        if (!reader.TryReadTo(out ReadOnlySequence<byte> bytes, "\r\n\r\n"u8))
        {
            if (buffer.Length < MaxBytes)
                return false;
            head = Bad(431, "head_too_large", "The head of the CONNECT request is larger than 64 KiB.");
            return true;
        }

        consumed = reader.Position;
        head = bytes.Length > MaxBytes
            ? Bad(431, "head_too_large", "The head of the CONNECT request is larger than 64 KiB.")
            : Parse(Encoding.Latin1.GetString(bytes));
        return true;
    }

    private static ConnectHead Parse(string text)
    {
        var lines = text.Split("\r\n");
        if (lines.Length - 1 > MaxFields)
            return Bad(431, "head_too_large", "The CONNECT request has more than 200 header fields.");
        if (HasStray(lines))
            return Malformed("a bare LF, CR or NUL in the head");
        var parts = lines[0].Split(' ');
        if (parts.Length != 3 || parts[0] != "CONNECT" || parts[2] is not ("HTTP/1.1" or "HTTP/1.0"))
            return Malformed("a request line that is not 'CONNECT host:port HTTP/1.1'");
        // Beyond ASCII nobody can say which characters were meant (RFC 3986, 3.2.2): names arrive as punycode.
        if (!Ascii.IsValid(parts[1]) || !ConnectTarget.TryParse(parts[1], null, out var target))
            return Malformed($"a target that is not host:port with a port from 1 to 65535: '{ProxyErrors.Shown(parts[1])}'");
        return CheckFields(lines.AsSpan(1), parts[1], out var authorization) is { } wrong
            ? Malformed(wrong)
            : new ConnectHead(target, authorization, null);
    }

    // RFC 9112, 5.1 (no space before the colon), 5.2 (no obs-fold), 3.2 (one Host), 6.3 (CONNECT has no body).
    private static string? CheckFields(ReadOnlySpan<string> lines, string authority, out StringValues authorization)
    {
        var hosts = 0;
        authorization = default;
        foreach (var line in lines)
        {
            var colon = line.IndexOf(':', StringComparison.Ordinal);
            if (colon <= 0 || !HttpToken.IsValid(line.AsSpan(0, colon)))
                return "a header field without a proper name";
            var name = line.AsSpan(0, colon);
            var value = line.AsSpan(colon + 1).Trim(" \t");
            if (name.Equals("Host", StringComparison.OrdinalIgnoreCase))
            {
                if (++hosts > 1)
                    return "more than one Host field";
                if (!SameHost(value, authority))
                    return "a Host field that names another host than the request line";
            }
            else if (name.Equals("Transfer-Encoding", StringComparison.OrdinalIgnoreCase)
                || (name.Equals("Content-Length", StringComparison.OrdinalIgnoreCase) && value is not "0"))
            {
                return "a body, which CONNECT cannot have";
            }
            else if (name.Equals("Proxy-Authorization", StringComparison.OrdinalIgnoreCase))
            {
                authorization = StringValues.Concat(authorization, value.ToString());
            }
        }

        return null;
    }

    // The port may be missing in Host: many clients send the bare name there.
    private static bool SameHost(ReadOnlySpan<char> host, string authority) =>
        host.IsEmpty
        || (ConnectTarget.TryParse(host, 443, out var named) && ConnectTarget.TryParse(authority, null, out var asked) && named.Host == asked.Host);

    private static bool HasStray(string[] lines) => lines.Any(l => l.AsSpan().ContainsAny("\r\n\0"));

    private static ConnectHead Malformed(string what) => Bad(400, "bad_request", $"The CONNECT request has {what}.");

    private static ConnectHead Bad(int status, string code, string reason) => new(default, default, new ProxyError(status, code, reason));
}
