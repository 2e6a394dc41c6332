using System.Buffers;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace Discobot.Features.Configuration;

/// <summary>Settings as JSON with the file's own keys. Secrets are masked; what is kept in env: or file: shows where, not what.</summary>
internal static class SettingsJson
{
    public static void Write(Utf8JsonWriter json, ProxySettings settings)
    {
        json.WriteStartObject();
        Section(json, "proxy", j => settings.Proxy.Write(j, settings.Api.Port));
        Section(json, "tls", settings.Tls.Write);
        Section(json, "cache", settings.Cache.Write);
        Section(json, "packages", settings.Packages.Write);
        Section(json, "headers", settings.Headers.Write);
        Section(json, "secrets", settings.Credentials.Write);
        Section(json, "clients", settings.Clients.Write);
        Section(json, "limits", settings.Limits.Write);
        Section(json, "allowlist", settings.Allowlist.Write);
        Section(json, "ask", settings.Ask.Write);
        Section(json, "logging", settings.Logging.Write);
        Section(json, "api", settings.Api.Write);
        Section(json, "audit", j => settings.Audit.Write(j, settings.Api.TokenFile));
        Section(json, "socks", settings.Socks.Write);
        Section(json, "egress", settings.Egress.Write);
        Section(json, "dns", settings.Dns.Write);
        Section(json, "gateway", settings.Gateway.Write);
        Section(json, "docker", settings.Docker.Write);
        Section(json, "init", settings.Init.Write);
        json.WriteEndObject();
    }

    /// <summary>The whole document, indented for people.</summary>
    public static string ToText(ProxySettings settings)
    {
        var buffer = new ArrayBufferWriter<byte>();
        // The relaxed encoder escapes what JSON demands and leaves "+" and "<" of patterns readable; nothing here goes into HTML.
        var options = new JsonWriterOptions { Indented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };
        using (var json = new Utf8JsonWriter(buffer, options))
            Write(json, settings);
        return Encoding.UTF8.GetString(buffer.WrittenSpan);
    }

    private static void Section(Utf8JsonWriter json, string name, Action<Utf8JsonWriter> write)
    {
        json.WritePropertyName(name);
        write(json);
    }
}
