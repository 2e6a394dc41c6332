using System.Globalization;
using System.Text;
using Discobot.Infrastructure.Http1;

namespace Discobot.Features.DockerGuard;

/// <summary>The head of a request, read so strictly that dockerd reads the same, and the head that goes to dockerd in its stead.</summary>
internal sealed class GuardedRequest
{
    public const int MaxHead = 64 << 10;
    private readonly FieldLines _fields = new();

    public required string Method { get; init; }

    /// <summary>As it came.</summary>
    public required string Target { get; init; }

    /// <summary><c>HTTP/1.0</c> or <c>HTTP/1.1</c>: an older client may not know chunks.</summary>
    public required string Version { get; init; }

    public required GuardedPath Path { get; init; }

    public BodyFraming Framing { get; private set; }

    /// <summary>The client sends its body only when it is told to.</summary>
    public bool WaitsForContinue => _fields.HasMember("Expect"u8, "100-continue"u8);

    private string? Upgrade => _fields.IndexOf("Upgrade"u8, 0) is >= 0 and var line ? Encoding.Latin1.GetString(_fields.Value(line)) : null;

    /// <exception cref="MalformedMessageException">It could be read in two ways, or is none of HTTP/1.</exception>
    public static GuardedRequest Parse(ReadOnlySpan<byte> head)
    {
        var end = head.IndexOf("\r\n"u8);
        var line = head[..end];
        // request-line = method SP request-target SP HTTP-version (RFC 9112, 3), and nothing else.
        var words = Encoding.Latin1.GetString(line).Split(' ');
        if (words.Length != 3 || words[2] is not ("HTTP/1.1" or "HTTP/1.0") || words[0].Length == 0 || !words[0].All(char.IsAsciiLetterUpper))
            throw FieldLines.Malformed("a malformed request line", line);
        var request = new GuardedRequest
        {
            Method = words[0],
            Target = words[1],
            Version = words[2],
            Path = GuardedPath.Parse(words[1]) ?? throw FieldLines.Malformed("a path or query that can be read in two ways", line),
        };
        request._fields.Read(head[(end + 2)..], Strictness.Request);
        request.Framing = BodyFraming.OfRequest(request._fields, words[2] == "HTTP/1.0" ? 0 : 1);
        // Go takes parameters from such a body before those of the query.
        for (var i = request._fields.IndexOf("Content-Type"u8, 0); i >= 0; i = request._fields.IndexOf("Content-Type"u8, i + 1))
        {
            var type = Encoding.Latin1.GetString(request._fields.Value(i));
            if (type.Contains("form-urlencoded", StringComparison.OrdinalIgnoreCase) || type.Contains("multipart", StringComparison.OrdinalIgnoreCase))
                throw new MalformedMessageException($"it has the content type {type}");
        }

        return request;
    }

    /// <summary>Whether an upgrade that is asked for leads where only bytes go: with another one dockerd would read HTTP/2 behind it.</summary>
    public bool UpgradesAsKnown => Upgrade switch
    {
        null => true,
        var protocol when Path.First is "session" or "grpc" => protocol.Equals("h2c", StringComparison.OrdinalIgnoreCase),
        var protocol => protocol.Equals("tcp", StringComparison.OrdinalIgnoreCase) || protocol.Equals("websocket", StringComparison.OrdinalIgnoreCase),
    };

    /// <summary>What goes to dockerd: the request as it came, but for what concerns the connection. One request a connection: what follows it from the
    /// client is never taken for another one.</summary>
    /// <param name="mayHijack">Whether an upgrade is passed on.</param>
    /// <param name="length">Of a body that was read already; null for one that follows as it comes.</param>
    public byte[] HeadForDaemon(bool mayHijack, long? length)
    {
        var head = new StringBuilder($"{Method} {Target} {Version}\r\n");
        for (var i = 0; i < _fields.Count; i++)
        {
            var name = Encoding.Latin1.GetString(_fields.Name(i));
            var dropped = name.ToUpperInvariant() switch
            {
                "CONNECTION" or "KEEP-ALIVE" or "PROXY-CONNECTION" or "HTTP2-SETTINGS" => true,
                "UPGRADE" => !mayHijack,
                "EXPECT" or "CONTENT-LENGTH" or "TRANSFER-ENCODING" or "TRAILER" => length is not null,
                _ => false,
            };
            if (!dropped)
                head.Append(name).Append(": ").Append(Encoding.Latin1.GetString(_fields.Value(i))).Append("\r\n");
        }

        if (length is { } bytes)
            head.Append("Content-Length: ").Append(bytes.ToString(CultureInfo.InvariantCulture)).Append("\r\n");
        if (!mayHijack)
            head.Append("Connection: close\r\n");
        else if (Upgrade is not null)
            head.Append("Connection: Upgrade\r\n");
        return Encoding.Latin1.GetBytes(head.Append("\r\n").ToString());
    }
}
