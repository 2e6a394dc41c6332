using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using Discobot.Infrastructure;

namespace Discobot.Features.Audit;

/// <summary>What was said with each host.</summary>
internal sealed class AuditSummary
{
    private readonly Dictionary<string, HostTraffic> _hosts = [];

    /// <summary>Counts one flow.</summary>
    public void Add(JsonElement flow)
    {
        if (flow.TryGetProperty("dropped", out var dropped))
            Dropped += dropped.GetInt64();
        if (!flow.TryGetProperty("entry", out var entry) || entry.ValueEquals("dns"))
            return;
        var host = flow.TryGetProperty("host", out var named) ? named.GetString()! : "-";
        if (!_hosts.TryGetValue(host, out var traffic))
            _hosts[host] = traffic = new HostTraffic { Host = host };
        traffic.Requests++;
        traffic.RequestBytes += flow.GetProperty("request_bytes").GetInt64();
        traffic.ResponseBytes += flow.GetProperty("response_bytes").GetInt64();
        if (!flow.GetProperty("verdict").ValueEquals("allowed"))
            traffic.Blocked++;
        if (flow.TryGetProperty("cache", out var cache) && cache.GetString() is "hit" or "revalidated" or "stale")
            traffic.Cached++;
    }

    /// <summary>How many flows the log says that it misses.</summary>
    public long Dropped { get; private set; }

    /// <summary>The hosts, those with the most requests first.</summary>
    public IReadOnlyList<HostTraffic> Hosts => [.. _hosts.Values.OrderByDescending(h => h.Requests).ThenBy(h => h.Host, StringComparer.Ordinal)];

    /// <summary>A table for people.</summary>
    public string ToText()
    {
        var text = new StringBuilder();
        text.AppendLine(CultureInfo.InvariantCulture, $"{"requests",8}  {"blocked",7}  {"sent",10}  {"received",10}  {"cache",5}  host");
        foreach (var host in Hosts)
            text.AppendLine(Row(host.Requests, host.Blocked, host.RequestBytes, host.ResponseBytes, host.Cached, VisibleText.Of(host.Host)));
        var all = Hosts;
        text.AppendLine(Row(all.Sum(h => h.Requests), all.Sum(h => h.Blocked), all.Sum(h => h.RequestBytes), all.Sum(h => h.ResponseBytes), all.Sum(h => h.Cached), $"all of {all.Count} hosts"));
        if (Dropped > 0)
            text.AppendLine(CultureInfo.InvariantCulture, $"{Dropped} flows are missing: they came faster than they could be written");
        return text.ToString();
    }

    private static string Row(long requests, long blocked, long sent, long received, long cached, string name) => string.Create(CultureInfo.InvariantCulture,
        $"{requests,8}  {blocked,7}  {FlowText.Size(sent),10}  {FlowText.Size(received),10}  {(requests == 0 ? 0 : 100 * cached / requests) + "%",5}  {name}");
}

/// <summary>What was said with one host.</summary>
internal sealed record HostTraffic
{
    public required string Host { get; init; }

    /// <summary>Requests and tunnels.</summary>
    public long Requests { get; set; }

    /// <summary>Those that were blocked or refused.</summary>
    public long Blocked { get; set; }

    /// <summary>Those that the cache answered.</summary>
    public long Cached { get; set; }

    public long RequestBytes { get; set; }

    public long ResponseBytes { get; set; }
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(IReadOnlyList<HostTraffic>))]
internal sealed partial class AuditJson : JsonSerializerContext;
