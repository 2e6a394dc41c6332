using System.Buffers;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Discobot.Features.Api;
using Discobot.Features.Interception;
using Discobot.Infrastructure.Config;
using Discobot.Infrastructure.Logging;
using Microsoft.Extensions.Logging;

namespace Discobot.Features.Configuration;

/// <summary>Settings as JSON with the file's own keys. Secrets are masked; what is kept in env: or file: shows where, not what.</summary>
internal static partial class SettingsJson
{
    public static void Write(Utf8JsonWriter json, ProxySettings settings)
    {
        json.WriteStartObject();
        WriteProxy(json, settings.Proxy, settings.Api);
        WriteTls(json, settings.Tls);
        WriteCache(json, settings);
        WriteHeaders(json, settings.Headers);
        WriteAllowlist(json, settings.Allowlist);
        WriteLogging(json, settings.Logging);
        WriteApi(json, settings.Api);
        WriteSocks(json, settings);
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

    private static void WriteProxy(Utf8JsonWriter json, ProxyOptions proxy, ApiOptions api)
    {
        json.WriteStartObject("proxy");
        json.WriteNumber("port", proxy.Port);
        json.WriteNumber("api_port", api.Port);
        WriteList(json, "listen", proxy.Listen);
        json.WriteString("read_timeout", Quantity.Format(proxy.ReadTimeout));
        json.WriteString("write_timeout", Quantity.Format(proxy.WriteTimeout));
        json.WriteString("upstream_timeout", Quantity.Format(proxy.UpstreamTimeout));
        json.WriteString("drain_limit", Quantity.Format(proxy.DrainLimit));
        if (proxy.Upstream is { } upstream)
            json.WriteString("upstream", $"http://{(proxy.UpstreamCredentials is null ? "" : "***@")}{upstream.Authority}");
        else if (!proxy.UpstreamFromEnvironment)
            json.WriteString("upstream", "direct");
        json.WriteEndObject();
    }

    private static void WriteTls(Utf8JsonWriter json, TlsOptions tls)
    {
        json.WriteStartObject("tls");
        json.WriteString("cert_dir", tls.CertDir);
        WriteList(json, "extra_ca", tls.ExtraCa);
        WriteList(json, "insecure_hosts", tls.InsecureHosts.Select(p => p.Text));
        WriteList(json, "passthrough", tls.Passthrough.Select(p => p.Text));
        json.WriteEndObject();
    }

    private static void WriteCache(Utf8JsonWriter json, ProxySettings settings)
    {
        var cache = settings.Cache;
        json.WriteStartObject("cache");
        json.WriteBoolean("enabled", cache.Enabled);
        json.WriteString("dir", cache.Dir);
        json.WriteNumber("max_size", cache.MaxSize);
        WriteList(json, "patterns", cache.Patterns);
        json.WriteBoolean("content_aware", cache.ContentAware);
        json.WriteNumber("fill_after_abort", cache.FillAfterAbort);
        json.WriteBoolean("stale_tags", cache.StaleTags);
        json.WriteEndObject();
    }

    private static void WriteLogging(Utf8JsonWriter json, LoggingOptions logging)
    {
        json.WriteStartObject("logging");
        json.WriteString("level", LoggingOptions.NameOf(logging.Level));
        json.WriteString("format", logging.Format == LogFormat.Json ? "json" : "text");
        if (logging.File is { } file)
            json.WriteString("file", file);
        json.WriteBoolean("include_body", logging.IncludeBody);
        json.WriteEndObject();
    }

    private static void WriteApi(Utf8JsonWriter json, ApiOptions api)
    {
        json.WriteStartObject("api");
        WriteList(json, "listen", api.Listen);
        json.WriteString("token_file", api.TokenFile);
        json.WriteString("protect", api.Protect switch { ApiProtection.All => "all", ApiProtection.None => "none", _ => "config" });
        json.WriteEndObject();
    }

    private static void WriteSocks(Utf8JsonWriter json, ProxySettings settings)
    {
        json.WriteStartObject("socks");
        json.WriteStartObject("users");
        foreach (var user in settings.Socks.Users)
            json.WriteString(user.Name, user.Password.ToString());
        json.WriteEndObject();
        json.WriteBoolean("inspect", settings.Socks.Inspect);
        json.WriteBoolean("udp", settings.Socks.Udp);
        json.WriteEndObject();
    }

    private static void WriteList<T>(Utf8JsonWriter json, string name, IEnumerable<T> items)
    {
        json.WriteStartArray(name);
        foreach (var item in items)
            json.WriteStringValue(item?.ToString());
        json.WriteEndArray();
    }
}
