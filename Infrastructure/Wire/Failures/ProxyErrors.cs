using System.Globalization;
using System.Text;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.WebUtilities;

namespace Discobot.Infrastructure.Wire.Failures;

/// <summary>Writes a <see cref="ProxyError"/> as HTTP, so that whoever asked shows its reason.</summary>
internal static class ProxyErrors
{
    private const int MaxPhrase = 400;
    private const int MaxShown = 100;

    /// <summary>Writes the whole answer. Must be called before the response has started.</summary>
    public static async Task WriteAsync(HttpContext context, ProxyError error)
    {
        var proxied = context.Features.Get<ProxiedRequest>();
        var id = proxied?.Id ?? context.TraceIdentifier;
        Flow.Of(context)?.Fail(error);
        var (named, path) = Asked(context);
        var answer = ErrorBody.Make(error, proxied?.Target.Host ?? Shown(named), id, ErrorBody.FormFor(context.Request, proxied?.Path ?? path));

        var response = context.Response;
        response.Clear();
        response.StatusCode = error.Status;
        response.ContentType = answer.ContentType;
        response.ContentLength = answer.Bytes.Length;
        response.Headers["X-Discobot-Error"] = error.Code;
        response.Headers["X-Discobot-Request-Id"] = id;
        response.Headers.CacheControl = "no-store";
        if (error.RetryAfter is { } wait)
            response.Headers.RetryAfter = ((long)Math.Ceiling(Math.Max(wait.TotalSeconds, 1))).ToString(CultureInfo.InvariantCulture);
        if (error.Status == StatusCodes.Status407ProxyAuthenticationRequired)
            response.Headers.ProxyAuthenticate = ProxyUsers.Challenge;
        if (!HttpProtocol.IsHttp2(context.Request.Protocol))
        {
            context.Features.GetRequiredFeature<IHttpResponseFeature>().ReasonPhrase = PhraseFor(error);
            // Where a request could not be understood, nobody knows where it ends. HTTP/2 has frames for that.
            if (error.Status is StatusCodes.Status400BadRequest or StatusCodes.Status501NotImplemented)
                response.Headers.Connection = "close";
        }

        if (!Methods.IsHead(context.Request.Method))
            await response.Body.WriteAsync(answer.Bytes, context.RequestAborted);
    }

    /// <summary>The same as a whole HTTP/1.1 message that ends its connection, for requests that no server has read.</summary>
    public static byte[] ToMessage(ProxyError error, string id)
    {
        var body = $"{error.Reason}\nRequest: {id}\n";
        var challenge = error.Status == StatusCodes.Status407ProxyAuthenticationRequired ? $"Proxy-Authenticate: {ProxyUsers.Challenge}\r\n" : "";
        return Encoding.UTF8.GetBytes(
            $"HTTP/1.1 {error.Status} {PhraseFor(error)}\r\nX-Discobot-Error: {error.Code}\r\nX-Discobot-Request-Id: {id}\r\n{challenge}"
            + $"Content-Type: text/plain; charset=utf-8\r\nContent-Length: {Encoding.UTF8.GetByteCount(body)}\r\nConnection: close\r\n\r\n{body}");
    }

    /// <summary>What a client called a host, for sentences that end up in logs: without user information, path and query, which may be
    /// secret, in visible ASCII, not endless.</summary>
    public static string Shown(string authority)
    {
        var end = authority.AsSpan().IndexOfAny("/?#");
        var host = end < 0 ? authority : authority[..end];
        host = host[(host.LastIndexOf('@') + 1)..];
        return Visible(host, MaxShown);
    }

    // Of a request that is refused before it was understood: what can be seen of its target.
    private static (string Authority, string Path) Asked(HttpContext context)
    {
        var target = context.Features.Get<IHttpRequestFeature>()?.RawTarget ?? "";
        var authority = target.IndexOf("://", StringComparison.Ordinal);
        if (target.StartsWith('/') || authority < 0)
            return (context.Request.Headers.Host.ToString(), target);
        var rest = target[(authority + 3)..];
        var slash = rest.IndexOf('/', StringComparison.Ordinal);
        return slash < 0 ? (rest, "") : (rest[..slash], rest[slash..]);
    }

    // Many clients show the reason phrase and nothing else (RFC 9112, 4): pip, npm, apt, wget, Go's of a refused CONNECT.
    private static string PhraseFor(ProxyError error) =>
        Visible($"{ReasonPhrases.GetReasonPhrase(error.Status)} (proxy: {error.Reason.TrimEnd('.')})", MaxPhrase);

    private static string Visible(string text, int max)
    {
        var shown = text.Length > max ? text[..max] : text;
        return string.Concat(shown.Select(c => c is >= ' ' and <= '~' ? c : '?'));
    }
}
