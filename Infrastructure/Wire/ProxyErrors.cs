using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace Discobot.Infrastructure.Wire;

/// <summary>Writes a <see cref="ProxyError"/> as HTTP: JSON, or text for clients whose Accept excludes JSON.</summary>
internal static class ProxyErrors
{
    // Read by people in terminals: quotes as \", not as \u0022. Nothing of it ends up inside HTML.
    private static readonly JsonWriterOptions Readable = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>Writes the whole answer. Must be called before the response has started.</summary>
    public static async Task WriteAsync(HttpContext context, ProxyError error)
    {
        var proxied = context.Features.Get<ProxiedRequest>();
        var host = proxied?.Target.Host ?? context.Request.Host.Host;
        var id = proxied?.Id ?? context.TraceIdentifier;
        var json = AcceptsJson(context.Request.Headers.Accept.ToString());
        var body = json ? Json(error, host, id) : Text(error, host, id);

        var response = context.Response;
        response.Clear();
        response.StatusCode = error.Status;
        response.ContentType = json ? "application/json" : "text/plain; charset=utf-8";
        response.ContentLength = body.Length;
        response.Headers["X-Discobot-Error"] = error.Code;
        response.Headers.CacheControl = "no-store";
        // Where a request could not be understood, nobody knows where it ends. HTTP/2 has frames for that.
        if (error.Status is StatusCodes.Status400BadRequest or StatusCodes.Status501NotImplemented && !HttpProtocol.IsHttp2(context.Request.Protocol))
            response.Headers.Connection = "close";
        if (!HttpMethods.IsHead(context.Request.Method))
            await response.Body.WriteAsync(body, context.RequestAborted);
    }

    private static byte[] Json(ProxyError error, string host, string id)
    {
        using var buffer = new MemoryStream();
        using (var writer = new Utf8JsonWriter(buffer, Readable))
        {
            writer.WriteStartObject();
            writer.WriteString("error", error.Code);
            writer.WriteString("host", host);
            if (error.Rule is not null)
                writer.WriteString("rule", error.Rule);
            writer.WriteString("reason", error.Reason);
            writer.WriteString("request_id", id);
            writer.WriteEndObject();
        }

        buffer.WriteByte((byte)'\n');
        return buffer.ToArray();
    }

    private static byte[] Text(ProxyError error, string host, string id)
    {
        var lead = error.Status == StatusCodes.Status403Forbidden ? "Blocked by proxy" : "Proxy error";
        var rule = error.Rule is null ? "" : $"Rule: {error.Rule}\n";
        return Encoding.UTF8.GetBytes($"{lead}: {host}: {error.Reason}\n{rule}Request: {id}\n");
    }

    // RFC 9110, 12.5.1: no Accept field means everything is accepted.
    private static bool AcceptsJson(string accept) =>
        accept.Length == 0
        || accept.Contains("json", StringComparison.OrdinalIgnoreCase)
        || accept.Contains("*/*", StringComparison.Ordinal)
        || accept.Contains("application/*", StringComparison.OrdinalIgnoreCase);
}
