using System.Diagnostics.CodeAnalysis;
using Discobot.Features.Interception;
using Discobot.Infrastructure.Wire;
using Microsoft.Extensions.Primitives;

namespace Discobot.Features.Api;

/// <summary><c>GET /api/explain?url=…&amp;method=…</c>: what would happen to a request, without sending it.</summary>
internal static class ExplainEndpoint
{
    private const int MaxUrl = 32 * 1024;
    private const int MaxMethod = 40;

    public static void MapExplain(this IEndpointRouteBuilder endpoints)
    {
        var explainer = ActivatorUtilities.CreateInstance<Explainer>(endpoints.ServiceProvider);
        RequestDelegate answer = async context =>
        {
            var query = context.Request.Query;
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

            await explainer.RefreshAsync(request, context.RequestAborted);
            await context.Response.WriteAsJsonAsync(explainer.Explain(method, request), ApiJson.Readable.Explanation);
        };
        endpoints.MapGet("/api/explain", answer);
    }

    /// <summary>Reads the URL as the proxy reads the target of a request for it.</summary>
    private static bool TryRead(string url, [NotNullWhen(true)] out ProxiedRequest? request, [NotNullWhen(false)] out string? problem)
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
