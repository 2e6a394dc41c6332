using System.Buffers;
using Discobot.Infrastructure.Wire;
using Microsoft.Net.Http.Headers;

namespace Discobot.Features.Interception;

/// <summary>
/// Refuses what the server lets pass in a request's head and the next parser might read differently (RFC 9112, 11.2). What it refuses by
/// itself is not repeated here: bare LF, obs-fold, NUL, blanks before a colon, two Content-Lengths, no Host or two.
/// </summary>
internal static class StrictHead
{
    // RFC 9110, 5.6.2
    private static readonly SearchValues<char> Token =
        SearchValues.Create("!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");

    private static readonly SearchValues<char> Visible = SearchValues.Create([.. Enumerable.Range(0x21, 0x5e).Select(c => (char)c)]);

    // RFC 9113, 8.2.2. The server refuses Connection and TE by itself.
    private static readonly string[] ConnectionSpecific = ["Keep-Alive", "Proxy-Connection", "Transfer-Encoding", "Upgrade"];

    /// <returns>What is wrong, or null.</returns>
    public static ProxyError? Check(HttpRequest request, string rawTarget)
    {
        if (rawTarget.AsSpan().ContainsAnyExcept(Visible))
            return Malformed("a control character or a blank in its target");
        foreach (var (name, _) in request.Headers)
        {
            if (name.AsSpan(name[0] == ':' ? 1 : 0).ContainsAnyExcept(Token))
                return Malformed("a field whose name is no token");
        }

        if (HttpProtocol.IsHttp2(request.Protocol))
            return ConnectionSpecific.Any(request.Headers.ContainsKey) ? Malformed("a field that HTTP/2 does not have, such as Transfer-Encoding") : null;
        return request.Headers.TransferEncoding is { Count: > 0 } codings ? CheckFraming(request, codings) : null;
    }

    private static ProxyError? CheckFraming(HttpRequest request, Microsoft.Extensions.Primitives.StringValues codings)
    {
        // RFC 9112, 6.1: an HTTP/1.0 client does not know it, so something on the way framed the message wrongly.
        if (request.Protocol == "HTTP/1.0")
            return Malformed("Transfer-Encoding, which HTTP/1.0 does not have");
        // The server renames the Content-Length beside a Transfer-Encoding. (A client's own field of that name, with a chunked body, looks alike.)
        if (request.ContentLength is not null || request.Headers.ContainsKey("X-Content-Length"))
            return Malformed($"both {HeaderNames.TransferEncoding} and Content-Length (or X-Content-Length)");
        // The server takes "chunked" off; another coding would arrive upstream without its name.
        return codings is [{ } only] && only.Equals("chunked", StringComparison.OrdinalIgnoreCase)
            ? null
            : new ProxyError(StatusCodes.Status501NotImplemented, "transfer_coding", "Only the transfer coding \"chunked\" is supported; compress with Content-Encoding.");
    }

    private static ProxyError Malformed(string what) => new(StatusCodes.Status400BadRequest, "bad_request", $"The request has {what}.");
}
