using System.Buffers;
using System.Globalization;
using System.Text;
using Discobot.Infrastructure.Wire;

namespace Discobot.Infrastructure.Http1;

/// <summary>
/// The head of a request: request line and fields, as they were sent. Used again for the next one on the same connection. What the next parser
/// might read differently is refused here and nowhere else (RFC 9112, 11.2).
/// </summary>
internal sealed class RequestHead
{
    /// <summary>Bytes of a request line: signed addresses of object stores reach several KiB.</summary>
    public const int MaxLine = 32 << 10;

    /// <summary>Bytes of all fields.</summary>
    public const int MaxBytes = 64 << 10;

    public const int MaxFields = 200;

    /// <summary>Blank lines that may stand before a request, left over from the one before (RFC 9112, 2.2).</summary>
    public const int MaxBlankLines = 32;

    private const string NoRequestLine = "its first line is not method, target and version";

    // RFC 3986, 3.2.1.
    private static readonly SearchValues<char> UserInfo =
        SearchValues.Create("-._~!$&'()*+,;=:%0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");

    private readonly FieldLines _lines = new();

    /// <summary>In its own case; empty where it could not be read.</summary>
    public string Method { get; private set; } = "";

    /// <summary>Byte for byte, as Latin-1.</summary>
    public string Target { get; private set; } = "";

    /// <summary>0 or 1, for HTTP/1.0 and HTTP/1.1.</summary>
    public int MinorVersion { get; private set; } = 1;

    public FieldList Fields { get; } = new();

    /// <summary>Where the body ends.</summary>
    public BodyFraming Framing { get; private set; }

    /// <summary>Whether the client means to send another request.</summary>
    public bool KeepsConnection { get; private set; }

    /// <summary>Whether the client asks for another protocol on this connection (RFC 9110, 7.8).</summary>
    public bool AsksForUpgrade { get; private set; }

    /// <summary>Whether the client waits for 100 before it sends the body (RFC 9110, 10.1.1).</summary>
    public bool ExpectsContinue { get; private set; }

    /// <summary>Reads a head.</summary>
    /// <param name="input">What has arrived, without the blank lines before it.</param>
    /// <param name="error">Why it cannot be served: nobody knows where the next request begins.</param>
    /// <returns>Bytes taken; 0 when more are needed, or with an error.</returns>
    public int Read(in ReadOnlySequence<byte> input, out ProxyError? error)
    {
        if (input.IsSingleSegment)
            return Read(input.FirstSpan, out error);
        var length = (int)Math.Min(input.Length, MaxLine + MaxBytes + 64);
        var rented = ArrayPool<byte>.Shared.Rent(length);
        try
        {
            input.Slice(0, length).CopyTo(rented);
            return Read(rented.AsSpan(0, length), out error);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(rented);
        }
    }

    /// <summary>Host and port of a target in absolute-form (RFC 9112, 3.2.2), without who the client says it is, which was never meant for the wire
    /// (RFC 9110, 4.2.4).</summary>
    /// <returns>Empty for other forms.</returns>
    public static ReadOnlySpan<char> AuthorityOf(string target)
    {
        var mark = target.StartsWith('/') ? -1 : target.IndexOf("://", StringComparison.Ordinal);
        var rest = mark < 0 ? default : target.AsSpan(mark + 3);
        var authority = rest.IndexOfAny('/', '?', '#') is var end and >= 0 ? rest[..end] : rest;
        var user = authority.LastIndexOf('@');
        return user >= 0 && !authority[..user].ContainsAnyExcept(UserInfo) ? authority[(user + 1)..] : authority;
    }

    /// <summary>How many blank lines the input begins with. Whoever reads takes them at once and counts them: kept, they would be a way to fill the
    /// memory, and to be waited for without end.</summary>
    public static int CountBlankLines(in ReadOnlySequence<byte> input)
    {
        var reader = new SequenceReader<byte>(input);
        var count = 0;
        while (reader.IsNext("\r\n"u8, advancePast: true))
            count++;
        return count;
    }

    /// <summary>Makes it the head of a request before which too many blank lines stand.</summary>
    public ProxyError RefuseBlankLines()
    {
        Clear();
        return Malformed($"more than {MaxBlankLines} blank lines stand before it");
    }

    /// <summary>Makes it the head of a request of which nothing is known.</summary>
    public void Clear()
    {
        (Method, Target, MinorVersion, Framing, KeepsConnection, AsksForUpgrade, ExpectsContinue) = ("", "", 1, default, false, false, false);
        Fields.Clear();
    }

    private int Read(ReadOnlySpan<byte> message, out ProxyError? error)
    {
        error = null;
        var line = message.IndexOf((byte)'\n');
        if (line < 0 ? message.Length > MaxLine : line > MaxLine)
        {
            Clear();
            error = new ProxyError(414, "uri_too_long", $"The request line is longer than {MaxLine >> 10} KiB.");
            return 0;
        }

        var end = line < 0 ? -1 : MessageHead.EndOf(message, line);
        if ((end < 0 ? message.Length : end) - Math.Max(line, 0) > MaxBytes)
        {
            Clear();
            error = TooLarge($"The head of the request is larger than {MaxBytes >> 10} KiB.");
            return 0;
        }

        if (end < 0)
            return 0;
        error = Parse(message[..end], line);
        return error is null ? end : 0;
    }

    private ProxyError? Parse(ReadOnlySpan<byte> head, int lineEnd)
    {
        KeepsConnection = AsksForUpgrade = ExpectsContinue = false;
        Framing = default;
        try
        {
            if (ParseLine(head[..lineEnd]) is { } wrong)
            {
                Fields.Clear();
                return wrong;
            }

            _lines.Read(head[(lineEnd + 1)..], Strictness.Request);
            if (_lines.Count > MaxFields)
            {
                Fields.Clear();
                return TooLarge($"The request has more than {MaxFields} fields.");
            }

            Fields.Read(_lines);
            return CheckTarget() ?? CheckHost() ?? Frame();
        }
        catch (MalformedMessageException e)
        {
            return Malformed(e.Message);
        }
    }

    // request-line = method SP request-target SP HTTP-version   (RFC 9112, 3)
    private ProxyError? ParseLine(ReadOnlySpan<byte> line)
    {
        if (!line.EndsWith("\r"u8))
            return Malformed("its first line ends with LF alone");
        line = line[..^1];
        var (first, last) = (line.IndexOf((byte)' '), line.LastIndexOf((byte)' '));
        if (first <= 0 || first == last || !FieldLines.IsToken(line[..first]))
            return Malformed(NoRequestLine);
        var target = line[(first + 1)..last];
        var version = line[(last + 1)..];
        (Method, Target) = (TextOf(line[..first], Method), TextOf(target, Target));
        // Beyond ASCII, bytes are as good as others: clients send what people type.
        foreach (var one in target)
        {
            if (one is <= 0x20 or 0x7f)
                return Malformed("it has a control character or a blank in its target");
        }

        if (version.IsEmpty || target.IsEmpty)
            return Malformed(NoRequestLine);
        if (!version.SequenceEqual("HTTP/1.1"u8) && !version.SequenceEqual("HTTP/1.0"u8))
            return new ProxyError(505, "http_version", "The request is of a version of HTTP other than 1.1 and 1.0; HTTP/2 is agreed on in the TLS handshake.");
        MinorVersion = version[^1] - '0';
        return null;
    }

    // RFC 9112, 3.2: each form has its methods. What stands behind '#' one reader takes for a part of the path, and the next one drops it.
    private ProxyError? CheckTarget()
    {
        if (Method == "CONNECT")
            return null;
        if (Target == "*")
            return Method == "OPTIONS" ? null : Malformed("it asks for * with another method than OPTIONS");
        if (Target[0] != '/' && !IsAbsolute)
            return Malformed("it has a target that is neither a path nor an http or https address");
        if (IsAbsolute && !ConnectTarget.TryParse(AuthorityOf(Target), 80, out _))
            return Malformed("its address is not http://host[:port]/path");
        var path = Target.AsSpan();
        if (path.IndexOf('?') is var query and >= 0)
            path = path[..query];
        return path.Contains('#') ? Malformed("it has a # in its target's path") : null;
    }

    // RFC 9112, 3.2: exactly one in HTTP/1.1. Beside absolute-form it does not count.
    private ProxyError? CheckHost()
    {
        var first = Fields.IndexOf("Host", 0);
        if (first < 0)
            return MinorVersion == 0 ? null : Malformed("it has no Host");
        if (Fields.IndexOf("Host", first + 1) >= 0)
            return Malformed("it has more than one Host");
        var host = Fields.Lines[first].Value;
        return IsAbsolute || Method == "CONNECT" || host.Length == 0 || ConnectTarget.TryParse(host, 443, out _)
            ? null
            : Malformed("its Host is not host[:port]");
    }

    private ProxyError? Frame()
    {
        var codings = Fields.IndexOf("Transfer-Encoding", 0);
        if (codings >= 0 && CheckCodings(codings) is { } wrong)
            return wrong;
        Framing = BodyFraming.OfRequest(_lines, MinorVersion);
        if (Fields.IndexOf("Content-Length", 0) is var line and >= 0 && BodyFraming.ContentLength(_lines) is { } length)
        {
            // Several that agree are one (6.3, 5), in the form that cannot be misread.
            var number = length.ToString(CultureInfo.InvariantCulture);
            if (Fields.Lines[line].Value != number || Fields.IndexOf("Content-Length", line + 1) >= 0)
                Fields.Set(Fields.Lines[line].Key, number);
        }

        KeepsConnection = MinorVersion == 1 ? !Fields.HasMember("Connection", "close")
            : Fields.HasMember("Connection", "keep-alive") && !Fields.HasMember("Connection", "close");
        AsksForUpgrade = MinorVersion == 1 && Fields.Contains("Upgrade") && Fields.HasMember("Connection", "upgrade");
        ExpectsContinue = MinorVersion == 1 && Framing.End != BodyEnd.None && Fields.HasMember("Expect", "100-continue");
        return null;
    }

    // Chunks are made anew; another coding would arrive upstream without its name.
    private ProxyError? CheckCodings(int first)
    {
        if (Fields.Contains("Content-Length"))
            return Malformed("it has both Transfer-Encoding and Content-Length");
        if (MinorVersion == 0)
            return Malformed("it has Transfer-Encoding, which HTTP/1.0 does not have");
        var last = first;
        for (var i = first; i >= 0; i = Fields.IndexOf("Transfer-Encoding", i + 1))
            last = i;
        var codings = Fields.Lines[last].Value.AsSpan();
        if (first == last && codings.Equals("chunked", StringComparison.OrdinalIgnoreCase))
            return null;
        return codings[(codings.LastIndexOf(',') + 1)..].Trim(" \t").Equals("chunked", StringComparison.OrdinalIgnoreCase)
            ? new ProxyError(501, "transfer_coding", "Only the transfer coding \"chunked\" is supported; compress with Content-Encoding.")
            : Malformed("it has a transfer coding that does not end with chunks");
    }

    private bool IsAbsolute =>
        Target.StartsWith("http://", StringComparison.OrdinalIgnoreCase) || Target.StartsWith("https://", StringComparison.OrdinalIgnoreCase);

    private static string TextOf(ReadOnlySpan<byte> bytes, string before) =>
        Ascii.Equals(bytes, before) ? before
            : bytes.SequenceEqual("GET"u8) ? "GET" : bytes.SequenceEqual("HEAD"u8) ? "HEAD" : bytes.SequenceEqual("POST"u8) ? "POST"
            : Encoding.Latin1.GetString(bytes);

    private static ProxyError Malformed(string what) => new(400, "bad_request", $"The request cannot be read: {what}.");

    private static ProxyError TooLarge(string what) => new(431, "head_too_large", what);
}
