using System.Collections.Immutable;
using System.Text.Json;
using Discobot.Infrastructure.Config;
using Discobot.Infrastructure.Hosts;

namespace Discobot.Features.Limits;

/// <summary>The <c>limits</c> section: host patterns and how much of them a client may have. All of it is live.</summary>
internal sealed record LimitOptions
{
    /// <summary>In the file's order, which decides between equally specific patterns.</summary>
    public ImmutableArray<HostLimit> Hosts { get; init; } = [];

    public bool IsEmpty => Hosts.IsEmpty;

    /// <summary>Reads the section; when nothing is written, all is as in <paramref name="fallback"/>.</summary>
    public static LimitOptions Read(ConfigNode section, LimitOptions? fallback = null)
    {
        if (section.IsAbsent)
            return fallback ?? new LimitOptions();
        var hosts = ImmutableArray.CreateBuilder<HostLimit>();
        foreach (var (key, node) in section.Entries())
        {
            if (HostLimit.Read(key, node) is not { } limit)
                continue;
            if (hosts.FirstOrDefault(h => h.Host.Kind == limit.Host.Kind && h.Host.Name == limit.Host.Name) is { } twin)
                node.Error($"names the same hosts as {ConfigPath.Quote(twin.Host.Text)} above; write one of them");
            hosts.Add(limit);
        }

        return new LimitOptions { Hosts = hosts.ToImmutable() };
    }

    /// <summary>The section as JSON.</summary>
    public void Write(Utf8JsonWriter json)
    {
        json.WriteStartObject();
        foreach (var limit in Hosts)
        {
            json.WritePropertyName(limit.Host.Text);
            limit.Write(json);
        }

        json.WriteEndObject();
    }
}

/// <summary>How much a client may have of the hosts of one pattern, together.</summary>
/// <param name="RequestsPerSecond">On average; as many may come at once. Null: any number.</param>
/// <param name="BytesPerDay">Of bodies in both directions, a day of UTC. Null: any number.</param>
/// <param name="UploadSize">The most bytes of one request's body. Null: any number.</param>
internal sealed record HostLimit(HostPattern Host, int? RequestsPerSecond, long? BytesPerDay, long? UploadSize)
{
    /// <summary>What decided, in answers, logs and the audit.</summary>
    public string Rule => $"limits.{ConfigPath.Quote(Host.Text)}";

    /// <summary>The limit; null, with its errors told, when there is none to make.</summary>
    public static HostLimit? Read(string pattern, ConfigNode node)
    {
        var host = node.ToHostPattern(pattern);
        var (requests, bytes, upload) = (node["requests_per_second"], node["bytes_per_day"], node["upload_size"]);
        int? most = requests.AsInt(0, 1, 1_000_000) is > 0 and var number ? number : null;
        var limit = host is null ? null : new HostLimit(host, most, Size(bytes, 1), Size(upload, 0));
        if (requests.IsAbsent && bytes.IsAbsent && upload.IsAbsent && host is not null)
            node.Error("must say what is limited: requests_per_second, bytes_per_day or upload_size");
        return limit;
    }

    public void Write(Utf8JsonWriter json)
    {
        json.WriteStartObject();
        if (RequestsPerSecond is { } requests)
            json.WriteNumber("requests_per_second", requests);
        if (BytesPerDay is { } bytes)
            json.WriteString("bytes_per_day", Quantity.Format(bytes));
        if (UploadSize is { } upload)
            json.WriteString("upload_size", Quantity.Format(upload));
        json.WriteEndObject();
    }

    private static long? Size(ConfigNode node, long least) => node.AsSize(-1, least) is >= 0 and var size ? size : null;
}

/// <summary>The limits, prebuilt for matching.</summary>
internal sealed class LimitRules(LimitOptions options)
{
    private readonly HostPatternSet<HostLimit> _hosts = new(options.Hosts.Select(limit => KeyValuePair.Create(limit.Host, limit)));

    /// <summary>That of the most specific pattern; null: there is none.</summary>
    public HostLimit? Find(string? host) =>
        _hosts.Count > 0 && host is not null && CanonicalHost.TryParse(host, out var canonical) && _hosts.TryFind(canonical, out var limit) ? limit : null;
}
