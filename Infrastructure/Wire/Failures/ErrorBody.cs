using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace Discobot.Infrastructure.Wire.Failures;

/// <summary>In which form a client reads what is wrong.</summary>
internal enum ErrorForm
{
    Json,

    /// <summary>JSON in which container registries' clients find it too (OCI distribution, "Error Codes").</summary>
    Registry,

    /// <summary>Lines for people.</summary>
    Text,
}

/// <summary>The body of a <see cref="ProxyError"/>.</summary>
internal readonly record struct ErrorBody(string ContentType, byte[] Bytes)
{
    // Read by people in terminals: quotes as \", not as \u0022. Nothing of it ends up inside HTML.
    private static readonly JsonWriterOptions Readable = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <param name="request">Whose client is answered.</param>
    /// <param name="path">Of the request, if it could be read.</param>
    public static ErrorForm FormFor(HttpRequest request, string? path)
    {
        var agent = request.Headers.UserAgent.ToString();
        // Blobs and tokens of a registry lie elsewhere, under any path.
        if (path is "/v2" || path?.StartsWith("/v2/", StringComparison.Ordinal) == true
            || agent.StartsWith("docker/", StringComparison.Ordinal) || agent.StartsWith("containerd/", StringComparison.Ordinal))
            return ErrorForm.Registry;
        // It shows text as "remote: …" and nothing else, whatever its Accept says.
        return agent.StartsWith("git/", StringComparison.Ordinal) || !AcceptsJson(request.Headers.Accept.ToString()) ? ErrorForm.Text : ErrorForm.Json;
    }

    public static ErrorBody Make(ProxyError error, string host, string id, ErrorForm form) => form == ErrorForm.Text
        ? new("text/plain; charset=utf-8", Text(error, host, id))
        : new("application/json", Json(error, host, id, form == ErrorForm.Registry));

    private static byte[] Json(ProxyError error, string host, string id, bool isRegistry)
    {
        using var buffer = new MemoryStream();
        using (var json = new Utf8JsonWriter(buffer, Readable))
        {
            json.WriteStartObject();
            if (isRegistry)
                WriteRegistryErrors(json, error, host, id);
            WriteFields(json, error, host, id);
            json.WriteEndObject();
        }

        buffer.WriteByte((byte)'\n');
        return buffer.ToArray();
    }

    private static void WriteRegistryErrors(Utf8JsonWriter json, ProxyError error, string host, string id)
    {
        json.WriteStartArray("errors");
        json.WriteStartObject();
        json.WriteString("code", error.Status switch
        {
            StatusCodes.Status403Forbidden => "DENIED",
            StatusCodes.Status401Unauthorized or StatusCodes.Status407ProxyAuthenticationRequired => "UNAUTHORIZED",
            StatusCodes.Status429TooManyRequests => "TOOMANYREQUESTS",
            StatusCodes.Status502BadGateway or StatusCodes.Status503ServiceUnavailable or StatusCodes.Status504GatewayTimeout => "UNAVAILABLE",
            _ => "UNKNOWN",
        });
        json.WriteString("message", error.Reason);
        json.WriteStartObject("detail");
        WriteFields(json, error, host, id);
        json.WriteEndObject();
        json.WriteEndObject();
        json.WriteEndArray();
    }

    private static void WriteFields(Utf8JsonWriter json, ProxyError error, string host, string id)
    {
        json.WriteString("error", error.Code);
        json.WriteString("host", host);
        if (error.Rule is not null)
            json.WriteString("rule", error.Rule);
        json.WriteString("reason", error.Reason);
        json.WriteString("request_id", id);
    }

    private static byte[] Text(ProxyError error, string host, string id)
    {
        var lead = error.Status == StatusCodes.Status403Forbidden ? "Blocked by proxy" : "Proxy error";
        var rule = error.Rule is null ? "" : $"Rule: {error.Rule}\n";
        return Encoding.UTF8.GetBytes($"{lead}: {(error.Reason.StartsWith(host, StringComparison.Ordinal) ? "" : $"{host}: ")}{error.Reason}\n{rule}Request: {id}\n");
    }

    // RFC 9110, 12.5.1: no Accept field means everything is accepted.
    private static bool AcceptsJson(string accept) =>
        accept.Length == 0
        || accept.Contains("json", StringComparison.OrdinalIgnoreCase)
        || accept.Contains("*/*", StringComparison.Ordinal)
        || accept.Contains("application/*", StringComparison.OrdinalIgnoreCase);
}
