using Discobot.Features.Cache;
using Discobot.Features.Certificates;
using Discobot.Features.Configuration;
using Discobot.Infrastructure;
using Prometheus;

namespace Discobot.Features.Api;

/// <summary>What features count for themselves anyway: read when the metrics are asked for, at no cost in between.</summary>
internal static class ObservedMetrics
{
    private static readonly (string Name, string Help, Func<CacheStatistics, double> Value)[] Counted =
    [
        ("hits_total", "Answers from the cache.", s => s.Hits),
        ("misses_total", "Cacheable requests that had to be fetched.", s => s.Misses),
        ("shared_total", "Misses that joined a download under way instead of beginning one.", s => s.Shared),
        ("stores_total", "Bodies stored.", s => s.Stores),
        ("evictions_total", "Bodies removed to make room.", s => s.Evictions),
        ("errors_total", "Bodies that were wrong, torn or altered, and failures of the disk.", s => s.Errors),
        ("offline_total", "Answers in place of a registry that could not be reached.", s => s.Offline),
        ("served_bytes_total", "Bytes of cacheable bodies sent to clients, from the cache and while fetched.", s => s.BytesServed),
    ];

    private static readonly (string Name, string Help, Func<CacheStatistics, double> Value)[] Held =
    [
        ("entries", "Bodies in the cache.", s => s.Entries),
        ("size_bytes", "Bytes of all bodies in the cache.", s => s.CurrentSize),
        ("max_size_bytes", "Bytes that the cache may hold (cache.max_size).", s => s.MaxSize),
    ];

    /// <summary>Adds them to <paramref name="registry"/>.</summary>
    public static void Register(CollectorRegistry registry, IServiceProvider services)
    {
        var metrics = services.GetRequiredService<IMetricFactory>();
        ObserveCache(registry, metrics, services.GetRequiredService<ContentCache>());
        ObserveCertificates(registry, metrics, services);
        if (services.GetRequiredService<ProxySettings>().Egress.IsServed)
            ObservePacketFilter(registry, metrics);
    }

    private static void ObserveCache(CollectorRegistry registry, IMetricFactory metrics, ContentCache cache)
    {
        var counted = Array.ConvertAll(Counted, m => metrics.CreateCounter($"discobot_cache_{m.Name}", m.Help));
        var held = Array.ConvertAll(Held, m => metrics.CreateGauge($"discobot_cache_{m.Name}", m.Help));
        registry.AddBeforeCollectCallback(() =>
        {
            var now = cache.Statistics();
            for (var i = 0; i < Counted.Length; i++)
                counted[i].IncTo(Counted[i].Value(now));
            for (var i = 0; i < Held.Length; i++)
                held[i].Set(Held[i].Value(now));
        });
    }

    // Process 1 knows; the proxy may not ask the kernel.
    private static void ObservePacketFilter(CollectorRegistry registry, IMetricFactory metrics)
    {
        var refused = metrics.CreateCounter("discobot_bypass_packets_total", "Packets that the kernel refused, as no rule can allow them.", ["protocol"]);
        var attacks = metrics.CreateCounter("discobot_egress_attacks_total", "Tables of the packet filter that somebody took away.");
        var connections = metrics.CreateGauge("discobot_egress_connections", "Entries in the kernel's table of connections of this network.");
        var most = metrics.CreateGauge("discobot_egress_connections_max", "From how many on the kernel drops what begins a new one; 0: there is no limit.");
        foreach (var kind in (string[])["udp", "icmp", "other"])
            refused.WithLabels(kind).Inc(0);
        registry.AddBeforeCollectCallback(async cancellation =>
        {
            foreach (var (kind, number) in await OwnerService.AskRefusedAsync(cancellation))
            {
                switch (kind)
                {
                    case "attack":
                        attacks.IncTo(number);
                        break;
                    case "connections":
                        connections.Set(number);
                        break;
                    case "connections_max":
                        most.Set(number);
                        break;
                    default:
                        refused.WithLabels(kind).IncTo(number);
                        break;
                }
            }
        });
    }

    private static void ObserveCertificates(CollectorRegistry registry, IMetricFactory metrics, IServiceProvider services)
    {
        var leaves = services.GetRequiredService<LeafCertificates>();
        var minted = metrics.CreateCounter("discobot_certificates_minted_total", "Certificates made for intercepted hosts.");
        var cached = metrics.CreateGauge("discobot_certificates_cached", "Hosts whose certificate is held ready.");
        metrics.CreateGauge("discobot_ca_expiry_timestamp_seconds", "When the CA expires, in Unix time.")
            .Set(new DateTimeOffset(services.GetRequiredService<CertificateAuthority>().Certificate.NotAfter).ToUnixTimeSeconds());
        registry.AddBeforeCollectCallback(() =>
        {
            minted.IncTo(leaves.Minted);
            cached.Set(leaves.Count);
        });
    }
}
