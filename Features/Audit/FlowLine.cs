using System.Buffers.Text;
using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace Discobot.Features.Audit;

/// <summary>A flow as one JSON object: names, numbers and decisions; never the value of a field or of a query, nor any of a body.</summary>
/// <param name="session">Of the container; empty: left out.</param>
internal sealed class FlowLine(string session)
{
    // It is read by people, and never inside HTML. Control characters are escaped all the same.
    public static readonly JsonWriterOptions Format = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping, SkipValidation = true };

    /// <summary>Writes the object. What is not known, or nothing, is left out.</summary>
    public void Write(Utf8JsonWriter json, Flow flow)
    {
        json.WriteStartObject();
        WriteTime(json, "time"u8, flow.Time);
        json.WriteString("id"u8, flow.Id);
        if (session.Length > 0)
            json.WriteString("session"u8, session);
        WriteClient(json, flow);
        json.WriteString("entry"u8, flow.Entry);
        Write(json, "method"u8, flow.Method);
        Write(json, "scheme"u8, flow.Scheme);
        Write(json, "host"u8, flow.Host);
        if (flow.Port > 0)
            json.WriteNumber("port"u8, flow.Port);
        Write(json, "path"u8, flow.Path);
        Write(json, "query"u8, flow.QueryNames);
        Write(json, "protocol"u8, flow.Protocol);
        if (flow.Status > 0)
            json.WriteNumber("status"u8, flow.Status);
        json.WriteNumber("request_bytes"u8, flow.RequestBytes);
        json.WriteNumber("response_bytes"u8, flow.ResponseBytes);
        WriteTimes(json, flow);
        if (flow.UpstreamAddress is { } address)
            json.WriteString("upstream_address"u8, address.ToString());
        json.WriteString("cache"u8, FlowWords.Of(flow.Cache));
        json.WriteString("verdict"u8, FlowWords.Of(flow.Verdict));
        Write(json, "rule"u8, flow.Rule);
        Write(json, "injected"u8, flow.Injected);
        Write(json, "error"u8, flow.Error);
        json.WriteBoolean("complete"u8, flow.IsComplete);
        json.WriteEndObject();
    }

    /// <summary>RFC 3339, UTC, in milliseconds.</summary>
    /// <remarks>A line is written for each request, and a format of one's own is read again for each: "O" is not, and has the same beginning.</remarks>
    public static void WriteTime(Utf8JsonWriter json, ReadOnlySpan<byte> name, DateTimeOffset time)
    {
        Span<byte> text = stackalloc byte[28];
        _ = time.UtcDateTime.TryFormat(text, out _, "O", CultureInfo.InvariantCulture);
        text[23] = (byte)'Z';
        json.WriteString(name, text[..24]);
    }

    private static void WriteTimes(Utf8JsonWriter json, Flow flow)
    {
        WriteMilliseconds(json, "duration_ms"u8, flow.Duration);
        WriteMilliseconds(json, "dns_ms"u8, flow.Dns);
        WriteMilliseconds(json, "connect_ms"u8, flow.Connect);
        WriteMilliseconds(json, "tls_ms"u8, flow.Tls);
        WriteMilliseconds(json, "first_byte_ms"u8, flow.FirstByte);
    }

    private static void WriteMilliseconds(Utf8JsonWriter json, ReadOnlySpan<byte> name, TimeSpan? time)
    {
        if (time is not { } known)
            return;
        Span<byte> text = stackalloc byte[24];
        var (whole, hundredths) = Math.DivRem(known.Ticks / 100, 100);
        _ = Utf8Formatter.TryFormat(whole, text, out var length);
        if (hundredths > 0)
        {
            text[length++] = (byte)'.';
            text[length++] = (byte)('0' + hundredths / 10);
            text[length++] = (byte)('0' + hundredths % 10);
        }

        json.WritePropertyName(name);
        json.WriteRawValue(text[..length], skipInputValidation: true);
    }

    private static void WriteClient(Utf8JsonWriter json, Flow flow)
    {
        if (flow is { Client.AddressText: null, ClientName: null })
            return;
        json.WriteStartObject("client"u8);
        Write(json, "name"u8, flow.ClientName);
        Write(json, "address"u8, flow.Client?.AddressText);
        if (flow.Client?.Program is { } program)
        {
            json.WriteNumber("uid"u8, program.User);
            if (program.Process > 0)
                json.WriteNumber("pid"u8, program.Process);
            if (program.Program.Length > 0)
                json.WriteString("program"u8, program.Program);
            if (program.Parents.Count > 0)
                Write(json, "parents"u8, program.Parents);
        }

        json.WriteEndObject();
    }

    private static void Write(Utf8JsonWriter json, ReadOnlySpan<byte> name, string? value)
    {
        if (value is not null)
            json.WriteString(name, value);
    }

    private static void Write(Utf8JsonWriter json, ReadOnlySpan<byte> name, IReadOnlyList<string>? values)
    {
        if (values is null)
            return;
        json.WriteStartArray(name);
        for (var i = 0; i < values.Count; i++)
            json.WriteStringValue(values[i]);
        json.WriteEndArray();
    }
}
