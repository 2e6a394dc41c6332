using System.Buffers;
using Discobot.Infrastructure.Wire;

namespace Discobot.Features.Interception;

/// <summary>Refuses what Kestrel lets pass in the head of an HTTP/2 request and the next parser might read differently, once it is written as
/// HTTP/1.1 (RFC 9113, 10.3).</summary>
internal static class Http2Head
{
    private static readonly SearchValues<char> Visible = SearchValues.Create([.. Enumerable.Range(0x21, 0x5e).Concat(Enumerable.Range(0x80, 0x80)).Select(c => (char)c)]);

    // RFC 9113, 8.2.2. Kestrel refuses Connection and TE by itself.
    private static readonly string[] ConnectionSpecific = ["Keep-Alive", "Proxy-Connection", "Transfer-Encoding", "Upgrade"];

    /// <returns>What is wrong, or null.</returns>
    public static ProxyError? Check(HttpRequest request, string rawTarget)
    {
        if (rawTarget.AsSpan().ContainsAnyExcept(Visible))
            return Malformed("a control character or a blank in its target");
        // One reader takes what stands behind it for a part of the path, and the next one drops it. In a query it passes, as by HTTP/1.1.
        if (rawTarget.AsSpan(0, rawTarget.IndexOf('?', StringComparison.Ordinal) is var query and >= 0 ? query : rawTarget.Length).Contains('#'))
            return Malformed("a # in its target's path");
        foreach (var (name, _) in request.Headers)
        {
            if (!HttpToken.IsValid(name.AsSpan(name[0] == ':' ? 1 : 0)))
                return Malformed("a field whose name is no token");
        }

        return ConnectionSpecific.Any(request.Headers.ContainsKey) ? Malformed("a field that HTTP/2 does not have, such as Transfer-Encoding") : null;
    }

    private static ProxyError Malformed(string what) => new(StatusCodes.Status400BadRequest, "bad_request", $"The request has {what}.");
}
