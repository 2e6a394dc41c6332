using System.Text.Json;

namespace Discobot.Features.Audit;

/// <summary>Flows as an HTTP archive (HAR 1.2), which browsers' network panels open. Without header fields, values of queries and bodies, which nobody keeps.</summary>
internal static class HarFile
{
    /// <param name="json">Where it goes.</param>
    /// <param name="flows">Those that are HTTP are written.</param>
    /// <param name="version">Of this program.</param>
    public static void Write(Utf8JsonWriter json, IEnumerable<Flow> flows, string version)
    {
        json.WriteStartObject();
        json.WriteStartObject("log");
        json.WriteString("version", "1.2");
        json.WriteStartObject("creator");
        json.WriteString("name", "discobot");
        json.WriteString("version", version);
        json.WriteEndObject();
        json.WriteStartArray("entries");
        foreach (var flow in flows.Where(f => f is { Scheme: not null, Host: not null, Method: not null }))
            WriteEntry(json, flow);
        json.WriteEndArray();
        json.WriteEndObject();
        json.WriteEndObject();
    }

    private static void WriteEntry(Utf8JsonWriter json, Flow flow)
    {
        json.WriteStartObject();
        FlowLine.WriteTime(json, "startedDateTime"u8, flow.Time);
        WriteTimings(json, flow);
        WriteRequest(json, flow);
        WriteResponse(json, flow);
        json.WriteStartObject("cache");
        json.WriteEndObject();
        if (flow.UpstreamAddress is { } address)
            json.WriteString("serverIPAddress", address.ToString());
        json.WriteString("comment", string.Join("; ", Comments(flow)));
        json.WriteString("_id", flow.Id);
        json.WriteEndObject();
    }

    private static IEnumerable<string> Comments(Flow flow)
    {
        yield return $"{FlowWords.Of(flow.Verdict)}{(flow.Rule is null ? "" : $" by {flow.Rule}")}";
        if (flow.Cache != FlowCache.None)
            yield return $"cache {FlowWords.Of(flow.Cache)}";
        if (flow.Error is { } error)
            yield return error;
        if (!flow.IsComplete)
            yield return "cut off";
    }

    private static void WriteRequest(Utf8JsonWriter json, Flow flow)
    {
        var host = flow.Host!.Contains(':', StringComparison.Ordinal) ? $"[{flow.Host}]" : flow.Host;
        var authority = (flow.Scheme, flow.Port) is ("https", 443) or ("http", 80) ? host : $"{host}:{flow.Port}";
        var names = flow.QueryNames ?? [];
        json.WriteStartObject("request");
        json.WriteString("method", flow.Method);
        json.WriteString("url", $"{flow.Scheme}://{authority}{(flow.Path == "*" ? "/" : flow.Path)}{(names.Count == 0 ? "" : "?" + string.Join('&', names.Select(n => n + "=")))}");
        json.WriteString("httpVersion", Version(flow));
        WriteEmpty(json, "cookies", "headers");
        json.WriteStartArray("queryString");
        foreach (var name in names)
        {
            json.WriteStartObject();
            json.WriteString("name", name);
            json.WriteString("value", "");
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteNumber("headersSize", -1);
        json.WriteNumber("bodySize", flow.RequestBytes);
        json.WriteEndObject();
    }

    private static void WriteResponse(Utf8JsonWriter json, Flow flow)
    {
        json.WriteStartObject("response");
        json.WriteNumber("status", flow.Status);
        json.WriteString("statusText", "");
        json.WriteString("httpVersion", Version(flow));
        WriteEmpty(json, "cookies", "headers");
        json.WriteStartObject("content");
        json.WriteNumber("size", flow.ResponseBytes);
        json.WriteString("mimeType", "");
        json.WriteEndObject();
        json.WriteString("redirectURL", "");
        json.WriteNumber("headersSize", -1);
        json.WriteNumber("bodySize", flow.ResponseBytes);
        json.WriteEndObject();
    }

    // -1: it did not take place. TLS is part of the connection.
    private static void WriteTimings(Utf8JsonWriter json, Flow flow)
    {
        double? connect = flow.Connect is { } tcp ? (tcp + (flow.Tls ?? TimeSpan.Zero)).TotalMilliseconds : null;
        var (dns, wait) = (flow.Dns?.TotalMilliseconds, flow.FirstByte?.TotalMilliseconds ?? 0);
        var receive = Math.Max(0, flow.Duration.TotalMilliseconds - (dns ?? 0) - (connect ?? 0) - wait);
        json.WriteNumber("time", (dns ?? 0) + (connect ?? 0) + wait + receive);
        json.WriteStartObject("timings");
        json.WriteNumber("blocked", -1);
        json.WriteNumber("dns", dns ?? -1);
        json.WriteNumber("connect", connect ?? -1);
        json.WriteNumber("ssl", flow.Tls?.TotalMilliseconds ?? -1);
        json.WriteNumber("send", 0);
        json.WriteNumber("wait", wait);
        json.WriteNumber("receive", receive);
        json.WriteEndObject();
    }

    private static string Version(Flow flow) => flow.Protocol == "h2" ? "HTTP/2.0" : "HTTP/1.1";

    private static void WriteEmpty(Utf8JsonWriter json, params ReadOnlySpan<string> arrays)
    {
        foreach (var name in arrays)
        {
            json.WriteStartArray(name);
            json.WriteEndArray();
        }
    }
}
