using System.Buffers;
using System.Text.Json;
using Discobot.Features.Allowlist;
using Discobot.Features.Audit;
using Discobot.Features.Configuration;

namespace Discobot.Features.Api.Page;

/// <summary><c>GET /api/policy</c>: the entries in force, each with the key or preset that it comes from.</summary>
internal static class PolicyEndpoint
{
    public static void MapPolicy(this IEndpointRouteBuilder endpoints)
    {
        var (configuration, sources) = (endpoints.ServiceProvider.GetRequiredService<LiveConfiguration>(), endpoints.ServiceProvider.GetRequiredService<SettingsSources>());
        RequestDelegate show = async context =>
        {
            var buffer = new ArrayBufferWriter<byte>();
            using (var json = new Utf8JsonWriter(buffer, FlowLine.Format))
                Write(json, configuration.Running.Allowlist, sources.File);
            context.Response.ContentType = "application/json; charset=utf-8";
            context.Response.Headers.CacheControl = "no-store";
            await context.Response.BodyWriter.WriteAsync(buffer.WrittenMemory, context.RequestAborted);
        };
        endpoints.MapGet("/api/policy", show);
    }

    private static void Write(Utf8JsonWriter json, AllowlistOptions allowlist, string? file)
    {
        json.WriteStartObject();
        json.WriteString("mode", allowlist.ModeInForce);
        if (file is not null)
            json.WriteString("file", file);
        json.WriteStartArray("entries");
        foreach (var rule in allowlist.Deny)
            WriteEntry(json, "deny", rule.ToString(), "allowlist.deny");
        foreach (var rule in allowlist.Domains)
            WriteEntry(json, "allow", rule.ToString(), "allowlist.domains");
        foreach (var range in allowlist.Ips)
            WriteEntry(json, "allow", $"\"{range.Text}\"", "allowlist.ips");
        foreach (var preset in allowlist.Presets.Select(AllowlistPreset.Named))
        {
            foreach (var rule in preset.Domains)
                WriteEntry(json, "allow", rule.ToString(), $"preset {preset.Name}");
        }

        json.WriteEndArray();
        json.WriteEndObject();
    }

    private static void WriteEntry(Utf8JsonWriter json, string decision, string entry, string from)
    {
        json.WriteStartObject();
        json.WriteString("decision", decision);
        json.WriteString("entry", entry);
        json.WriteString("from", from);
        json.WriteEndObject();
    }
}
