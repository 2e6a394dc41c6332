using System.Net;

namespace Discobot.Features.Api;

/// <summary>What every API answer has in common: a Host of this machine (no DNS rebinding), JSON errors also for 404 and 405.</summary>
internal sealed class ApiGuard(RequestDelegate next)
{
    public async Task InvokeAsync(HttpContext context)
    {
        if (!IsOwnName(context.Request.Host.Host))
        {
            await ApiErrors.WriteAsync(context, StatusCodes.Status403Forbidden,
                "the Host header must name this machine: localhost, a loopback address or the host name");
            return;
        }

        await next(context);
        // Routing's own 404 and 405 come without a body.
        if (!context.Response.HasStarted && context.Response.StatusCode >= 400 && context.Response.ContentLength is null)
            await ApiErrors.WriteAsync(context, context.Response.StatusCode, Reason(context));
    }

    // A web page that rebinds its own name to 127.0.0.1 still sends that name.
    private static bool IsOwnName(string host) =>
        host.Equals("localhost", StringComparison.OrdinalIgnoreCase)
        || host.Equals(Environment.MachineName, StringComparison.OrdinalIgnoreCase)
        || IPAddress.TryParse(host.Trim('[', ']'), out _);

    private static string Reason(HttpContext context) => context.Response.StatusCode switch
    {
        StatusCodes.Status405MethodNotAllowed => $"{context.Request.Method} is not allowed here; allowed: {context.Response.Headers.Allow}",
        StatusCodes.Status404NotFound => $"nothing is at {context.Request.Path}",
        var status => $"status {status}",
    };
}

internal static class ApiErrors
{
    public static Task WriteAsync(HttpContext context, int status, string error)
    {
        context.Response.StatusCode = status;
        return context.Response.WriteAsJsonAsync(new ApiError(error), ApiJson.Default.ApiError);
    }
}
