using System.Diagnostics.CodeAnalysis;
using System.Net;
using System.Net.Sockets;
using Discobot.Features.Interception;
using Discobot.Infrastructure.Wire;
using Microsoft.Extensions.Primitives;

namespace Discobot.Features.Api;

/// <summary><c>GET /api/explain?url=…&amp;method=…</c>: what would happen to a request, without sending it; with <c>transparent=IP:PORT&amp;sni=…</c>, to a
/// connection that is redirected here.</summary>
internal static class ExplainEndpoint
{
    private const int MaxUrl = 32 * 1024;
    private const int MaxMethod = 40;

    public static void MapExplain(this IEndpointRouteBuilder endpoints)
    {
        var explainer = ActivatorUtilities.CreateInstance<Explainer>(endpoints.ServiceProvider);
        var redirected = ActivatorUtilities.CreateInstance<TransparentExplainer>(endpoints.ServiceProvider);
        RequestDelegate answer = async context =>
        {
            var query = context.Request.Query;
            if (query.ContainsKey("transparent"))
            {
                await AnswerRedirectedAsync(context, redirected);
                return;
            }

            if (query["url"] is not [{ Length: > 0 } url])
            {
                await Refuse(context, "the query must have one url, as in /api/explain?url=https://example.com/path");
                return;
            }

            var methods = query.TryGetValue("method", out var named) ? named : new StringValues("GET");
            if (methods is not [{ Length: > 0 and <= MaxMethod } method] || !method.All(c => char.IsAsciiLetter(c) || c == '-'))
            {
                await Refuse(context, "method must be one HTTP method, such as GET");
                return;
            }

            if (!TryRead(url, out var request, out var problem))
            {
                await Refuse(context, problem);
                return;
            }

            request.Client = query["client"];
            await explainer.RefreshAsync(request, context.RequestAborted);
            await context.Response.WriteAsJsonAsync(explainer.Explain(method, request), ApiJson.Readable.Explanation);
        };
        endpoints.MapGet("/api/explain", answer);
    }

    private static Task AnswerRedirectedAsync(HttpContext context, TransparentExplainer explainer)
    {
        var query = context.Request.Query;
        if (query.ContainsKey("url") || query["transparent"] is not [{ Length: > 0 } address] || !TryReadAddress(address, out var destination))
            return Refuse(context, "transparent must be one address and port, as in 203.0.113.7:443 or [2001:db8::7]:443, and url must not be there");
        var names = query["sni"];
        if (names is not ([] or [{ Length: > 0 and <= 255 }]) || (names is [{ } name] && (!ConnectTarget.TryParse(name, destination.Port, out var target) || target.Port != destination.Port || IPAddress.TryParse(target.Host, out _))))
            return Refuse(context, "sni must be one host name, without port");
        return context.Response.WriteAsJsonAsync(explainer.Explain(destination, names is [{ } asked] ? asked : null), ApiJson.Readable.TransparentExplanation);
    }

    // IPEndPoint would take an address without a port for one with port 0, and 10.1 for 10.0.0.1.
    private static bool TryReadAddress(string text, [NotNullWhen(true)] out IPEndPoint? destination) =>
        IPEndPoint.TryParse(text, out destination) && destination.Port > 0
        && (destination.AddressFamily == AddressFamily.InterNetworkV6 ? text.StartsWith('[') : text.Count(c => c == '.') == 3);

    /// <summary>Reads the URL as the proxy reads the target of a request for it.</summary>
    public static bool TryRead(string url, [NotNullWhen(true)] out ProxiedRequest? request, [NotNullWhen(false)] out string? problem)
    {
        request = null;
        // Clients keep fragments to themselves.
        var sent = url.Split('#')[0];
        problem = url.Length > MaxUrl ? "url is longer than 32 KiB"
            : sent.Any(c => c is <= ' ' or '\x7f' or '\\') ? "url has characters that must be percent-encoded"
            : null;
        if (problem is not null)
            return false;
        (request, _) = sent.Split('/', '?', '#') is [_, _, var authority, ..] && authority.Contains('@', StringComparison.Ordinal)
            ? (null, null)
            : RequestGate.ResolvePlain(sent, id: "");
        if (request is null)
            problem = $"url must be http://host[:port]/path or https://host[:port]/path, without user and password";
        else if (request.PathAndQuery.Any(c => c >= '\x7f'))
            (request, problem) = (null, "the url's path has characters that must be percent-encoded");
        return request is not null;
    }

    private static Task Refuse(HttpContext context, string problem) => ApiErrors.WriteAsync(context, StatusCodes.Status400BadRequest, problem);
}
