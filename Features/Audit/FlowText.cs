using System.Globalization;
using System.Text;
using System.Text.Json;
using Discobot.Infrastructure;

namespace Discobot.Features.Audit;

/// <summary>A flow as one line for people: what it was, where it went, how it ended, how much and how long, whose it was.</summary>
/// <param name="isColoured">Whether the line is for a terminal that wants colours.</param>
internal sealed class FlowText(bool isColoured)
{
    private const string Red = "\e[31m";
    private const string Yellow = "\e[33m";
    private const string Green = "\e[32m";
    private const string Grey = "\e[90m";
    private const string Plain = "\e[0m";

    /// <summary>The line, without its end; null for what is no flow.</summary>
    public string? Of(JsonElement flow)
    {
        if (flow.TryGetProperty("dropped", out var dropped))
            return Coloured(Red, $"{dropped} flows are missing here: they came faster than they could be written");
        if (!flow.TryGetProperty("time", out var time) || !flow.TryGetProperty("entry", out var entry))
            return null;
        var verdict = Word(flow, "verdict");
        var status = flow.TryGetProperty("status", out var code) ? code.GetInt32() : 0;
        var outcome = status > 0 ? status.ToString(CultureInfo.InvariantCulture) : verdict == "allowed" ? "-" : verdict;
        var colour = verdict != "allowed" || status >= 500 ? Red : status >= 400 || !IsComplete(flow) ? Yellow : status >= 300 ? "" : Green;
        var text = new StringBuilder(200);
        text.Append(Coloured(Grey, TimeOfDay(time.GetString()!))).Append(' ')
            .Append(Coloured(colour, $"{outcome,-7}")).Append(' ')
            .Append(Column(Word(flow, "method") is { Length: > 0 } method ? method : entry.GetString()!, 7)).Append(' ')
            .Append(Address(flow)).Append("  ")
            .Append(Coloured(Grey, Details(flow)));
        return text.ToString();
    }

    /// <summary>Bytes in the largest unit of which there is one.</summary>
    public static string Size(long bytes) => bytes switch
    {
        >= 1L << 30 => string.Create(CultureInfo.InvariantCulture, $"{bytes / (double)(1L << 30):0.0} GiB"),
        >= 1L << 20 => string.Create(CultureInfo.InvariantCulture, $"{bytes / (double)(1L << 20):0.0} MiB"),
        >= 1L << 10 => string.Create(CultureInfo.InvariantCulture, $"{bytes / (double)(1L << 10):0.0} KiB"),
        _ => string.Create(CultureInfo.InvariantCulture, $"{bytes} B"),
    };

    private static string Address(JsonElement flow)
    {
        var (scheme, host, path) = (Word(flow, "scheme"), VisibleText.Of(Word(flow, "host")), VisibleText.Of(Word(flow, "path")));
        var port = flow.TryGetProperty("port", out var number) ? number.GetInt32() : 0;
        var authority = port == 0 || (scheme, port) is ("https", 443) or ("http", 80) ? host : $"{host}:{port}";
        var query = flow.TryGetProperty("query", out var names) ? "?" + string.Join('&', names.EnumerateArray().Select(n => VisibleText.Of(n.GetString()!))) : "";
        return authority.Length == 0 ? "-" : scheme.Length == 0 ? authority : $"{scheme}://{authority}{path}{query}";
    }

    private static string Details(JsonElement flow)
    {
        List<string> parts = [Size(Long(flow, "request_bytes") + Long(flow, "response_bytes")), string.Create(CultureInfo.InvariantCulture, $"{flow.GetProperty("duration_ms").GetDouble():0}ms")];
        if (Word(flow, "cache") is not ("none" or "") and var cache)
            parts.Add(cache);
        if (Word(flow, "verdict") != "allowed" && Word(flow, "rule") is { Length: > 0 } rule)
            parts.Add($"rule {VisibleText.Of(rule)}");
        if (Word(flow, "error") is { Length: > 0 } error)
            parts.Add(VisibleText.Of(error));
        if (!IsComplete(flow))
            parts.Add("cut off");
        if (flow.TryGetProperty("client", out var client))
            parts.AddRange(((string[])[Word(client, "name"), Path.GetFileName(Word(client, "program"))]).Where(word => word.Length > 0).Select(VisibleText.Of));
        parts.Add(Word(flow, "id"));
        return string.Join("  ", parts);
    }

    private static bool IsComplete(JsonElement flow) => !flow.TryGetProperty("complete", out var complete) || complete.GetBoolean();

    private static string TimeOfDay(string time) => time.Length >= 23 ? $"{time[..10]} {time[11..23]}" : VisibleText.Of(time);

    private static string Column(string text, int width) => VisibleText.Of(text).PadRight(width);

    private static string Word(JsonElement json, string name) => json.TryGetProperty(name, out var value) ? value.GetString() ?? "" : "";

    private static long Long(JsonElement json, string name) => json.TryGetProperty(name, out var value) ? value.GetInt64() : 0;

    private string Coloured(string colour, string text) => isColoured && colour.Length > 0 ? colour + text + Plain : text;
}
