using System.Net;
using Discobot.Infrastructure.Hosts;
using Microsoft.AspNetCore.Http.Features;

namespace Discobot.Features.Api;

/// <summary>What every API answer has in common: a Host of this machine (no DNS rebinding), HEAD wherever there is GET, JSON errors also for
/// 404, 405 and what nobody foresaw.</summary>
internal sealed partial class ApiGuard(RequestDelegate next, ApiOptions options, ILogger<ApiGuard> log)
{
    public async Task InvokeAsync(HttpContext context)
    {
        await AnswerAsync(context);
        // For terminals and text files; blanks around JSON mean nothing (RFC 8259, 2).
        if (IsJson(context.Response.ContentType) && !context.RequestAborted.IsCancellationRequested)
            await context.Response.WriteAsync("\n", context.RequestAborted);
    }

    private async Task AnswerAsync(HttpContext context)
    {
        // RFC 9112, 3.2.2 and 3.2.3: only a proxy is asked to connect, or for what is another server's.
        if (HttpMethods.IsConnect(context.Request.Method) || IsElsewhere(context.Features.GetRequiredFeature<IHttpRequestFeature>().RawTarget, context.Connection.LocalPort))
        {
            await ApiErrors.WriteAsync(context, StatusCodes.Status421MisdirectedRequest,
                "this is the API of the proxy and not the proxy, which listens on the port that proxy.port says (17080 without it)");
            return;
        }

        // RFC 9110, 7.4: a request for another authority than ours is misdirected.
        // Where everything needs the token, a web page gains nothing by it, and agents know a gateway by whatever name.
        if (options.IsOpenTo(context.Connection) && !IsOwnName(new HostString(context.Request.Headers.Host.ToString()).Host))
        {
            await ApiErrors.WriteAsync(context, StatusCodes.Status421MisdirectedRequest,
                "the Host header must name this machine: localhost, a loopback address, the host name, or one of api.hosts");
            return;
        }

        // RFC 9110, 9.3.2: the same without the body, which the server leaves out by itself.
        if (HttpMethods.IsHead(context.Request.Method))
            context.Request.Method = HttpMethods.Get;
        try
        {
            await next(context);
        }
        catch (BadHttpRequestException e) when (!context.Response.HasStarted)
        {
            await ApiErrors.WriteAsync(context, e.StatusCode, e.Message);
        }
        catch (Exception e) when (!context.Response.HasStarted && !context.RequestAborted.IsCancellationRequested)
        {
            LogFailed(e, context.Request.Method, context.Request.Path);
            await ApiErrors.WriteAsync(context, StatusCodes.Status500InternalServerError, "the request failed; the log says why");
        }

        if (context.Response is { HasStarted: false, StatusCode: StatusCodes.Status405MethodNotAllowed, Headers.Allow: var allowed } && allowed.ToString().Split(", ").Contains("GET"))
            context.Response.Headers.Allow = string.Join(", ", allowed.ToString().Split(", ").Append("HEAD").Order(StringComparer.Ordinal));
        // Routing's own 404 and 405 come without a body.
        if (!context.Response.HasStarted && context.Response.StatusCode >= 400 && context.Response.ContentLength is null)
            await ApiErrors.WriteAsync(context, context.Response.StatusCode, Reason(context));
    }

    // RFC 9112, 3.2.2: a server has to accept the absolute form of its own addresses.
    private bool IsElsewhere(string target, int port) => target is not ['/' or '*', ..]
        && !(Uri.TryCreate(target, UriKind.Absolute, out var uri) && uri.Scheme == Uri.UriSchemeHttp && uri.Port == port && IsOwnName(uri.Host));

    private static bool IsJson(string? type) => type?.StartsWith("application/json", StringComparison.Ordinal) == true;

    // A web page that rebinds its own name to 127.0.0.1 still sends that name.
    private bool IsOwnName(string host) =>
        host.Equals("localhost", StringComparison.OrdinalIgnoreCase)
        || host.Equals(Environment.MachineName, StringComparison.OrdinalIgnoreCase)
        || IPAddress.TryParse(host.Trim('[', ']'), out _)
        || (CanonicalHost.TryParse(host, out var name) && options.Hosts.Contains(name.Name));

    private static string Reason(HttpContext context) => context.Response.StatusCode switch
    {
        StatusCodes.Status405MethodNotAllowed => $"{context.Request.Method} is not allowed here; allowed: {context.Response.Headers.Allow}",
        StatusCodes.Status404NotFound => $"nothing is at {context.Request.Path}",
        var status => $"status {status}",
    };

    [LoggerMessage(Level = LogLevel.Error, Message = "API request failed {Method} {Path}")]
    private partial void LogFailed(Exception reason, string method, string path);
}

internal static class ApiErrors
{
    public static Task WriteAsync(HttpContext context, int status, string error)
    {
        context.Response.StatusCode = status;
        return context.Response.WriteAsJsonAsync(new ApiError(error), ApiJson.Readable.ApiError);
    }
}
