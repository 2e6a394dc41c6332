using System.Collections.Immutable;
using System.Globalization;
using System.Net;
using System.Text.Json;
using Discobot.Infrastructure.Config;
using Discobot.Infrastructure.Hosts;

namespace Discobot.Features.Egress.Gateways;

/// <summary>The <c>gateway</c> section, which <c>discobot gateway</c> alone reads. All of it needs a restart.</summary>
internal sealed record GatewayOptions
{
    /// <summary>Which of this machine's addresses are inside: addresses, or networks that hold them. Empty: those of every interface without a
    /// default route.</summary>
    public ImmutableArray<IpRange> Listen { get; init; } = [];

    /// <summary>Ports at which connections arrive that are for a name: which one, they say by themselves.</summary>
    public ImmutableArray<int> Ports { get; init; } = [80, 443];

    /// <summary>Where questions for names are answered.</summary>
    public int DnsPort { get; init; } = 53;

    /// <summary>The addresses that names are answered with. Empty: the one that was asked.</summary>
    public ImmutableArray<IPAddress> Addresses { get; init; } = [];

    /// <summary>Whether the clients' default route leads here: names are then answered with their own addresses, and what comes is redirected.</summary>
    public bool Routed { get; init; }

    /// <summary>Reads the section; what is not written is as in <paramref name="fallback"/>.</summary>
    public static GatewayOptions Read(ConfigNode section, GatewayOptions? fallback = null)
    {
        fallback ??= new GatewayOptions();
        return new GatewayOptions
        {
            Listen = ReadListen(section["listen"], fallback.Listen),
            Ports = ReadPorts(section["ports"], fallback.Ports),
            DnsPort = section["dns_port"].AsInt(fallback.DnsPort, 1, 65535),
            Addresses = section["addresses"] is { IsList: true } list && !list.Items().Any() ? [] : section["addresses"].AsAddresses(fallback.Addresses),
            Routed = section["routed"].AsBool(fallback.Routed),
        };
    }

    /// <summary>Reads addresses and networks; several may stand in one text, with commas between them.</summary>
    public static ImmutableArray<IpRange> ReadListen(ConfigNode node, ImmutableArray<IpRange> fallback)
    {
        if (node.IsAbsent)
            return fallback;
        var ranges = ImmutableArray.CreateBuilder<IpRange>();
        foreach (var (item, word) in Words(node))
        {
            if (IpRange.TryParse(word, out var range))
                ranges.Add(range);
            else
                item.Error($"must be an address or a network of this machine, as in 172.28.0.2 or 172.28.0.0/16, not {ConfigPath.Quote(word)}");
        }

        return ranges.ToImmutable();
    }

    /// <summary>Reads ports, as above.</summary>
    public static ImmutableArray<int> ReadPorts(ConfigNode node, ImmutableArray<int> fallback)
    {
        if (node.IsAbsent)
            return fallback;
        var ports = ImmutableArray.CreateBuilder<int>();
        foreach (var (item, word) in Words(node))
        {
            if (int.TryParse(word, NumberStyles.None, CultureInfo.InvariantCulture, out var port) && port is > 0 and < 65536)
                ports.Add(port);
            else
                item.Error($"must be a port from 1 to 65535, not {ConfigPath.Quote(word)}");
        }

        return [.. ports.Distinct()];
    }

    /// <summary>The section as JSON.</summary>
    public void Write(Utf8JsonWriter json)
    {
        json.WriteStartObject();
        json.WriteList("listen", Listen);
        json.WriteStartArray("ports");
        foreach (var port in Ports)
            json.WriteNumberValue(port);
        json.WriteEndArray();
        json.WriteNumber("dns_port", DnsPort);
        json.WriteList("addresses", Addresses);
        json.WriteBoolean("routed", Routed);
        json.WriteEndObject();
    }

    private static IEnumerable<(ConfigNode Item, string Word)> Words(ConfigNode node) =>
        from item in node.Items()
        let text = item.AsString()
        where text is not null
        from word in text.Split((char[])[',', ' '], StringSplitOptions.RemoveEmptyEntries)
        select (item, word);
}
