using Discobot.Features.Cache;
using Discobot.Features.Cache.Shared;
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
        ("disk_size_bytes", "Bytes that bodies and records take of the disk, whole blocks.", s => s.DiskSize),
        ("max_size_bytes", "Bytes that the cache may hold (cache.max_size).", s => s.MaxSize),
    ];

    private static readonly (string Name, string Help, Func<RemoteStatistics, double> Value)[] Remote =
    [
        ("hits_total", "Bodies that the remote store began to give.", r => r.Hits),
        ("absent_total", "Bodies that the remote store did not have.", r => r.Absent),
        ("denied_total", "Questions that the remote store refused, or for which there were no credentials.", r => r.Denied),
        ("slow_total", "Times that nothing came of the remote store in time.", r => r.Slow),
        ("unavailable_total", "Times that the remote store was not reached, failed or broke off.", r => r.Unavailable),
        ("wrong_total", "Bodies of the remote store that were not what their digest says.", r => r.Wrong),
        ("not_asked_total", "Bodies for which the remote store was not asked, as it was away.", r => r.NotAsked),
        ("read_bytes_total", "Bytes of the bodies that the remote store began to give.", r => r.BytesRead),
        ("uploads_total", "Bodies put into the remote store.", r => r.Uploads),
        ("uploaded_bytes_total", "Bytes of those.", r => r.BytesUploaded),
        ("there_already_total", "Bodies that needed no upload.", r => r.ThereAlready),
        ("upload_failures_total", "Uploads that failed and are tried again.", r => r.UploadFailures),
        ("dropped_total", "Bodies that are not uploaded, as too much waits or they cannot be kept for it.", r => r.Dropped),
        ("refreshed_total", "Bodies that the remote store was told of as still used.", r => r.Refreshed),
    ];

    private static readonly (string Name, string Help, Func<RemoteStatistics, double> Value)[] RemoteHeld =
    [
        ("away", "1 while the remote store is left alone.", r => r.Away ? 1 : 0),
        ("waiting", "Bodies that wait for their upload.", r => r.Waiting),
        ("waiting_bytes", "Bytes of those.", r => r.WaitingBytes),
    ];

    private static readonly (string Name, string Help, Func<SharedStatistics, double> Value)[] SharedCounted =
    [
        ("read_total", "Bodies that came from the shared directory.", s => s.Read),
        ("followed_total", "Bodies that came from another container's download under way.", s => s.Followed),
        ("placed_total", "Bodies put into the shared directory.", s => s.Placed),
        ("taken_over_total", "Downloads of other containers, which died, that went on here.", s => s.TakenOver),
        ("wrong_total", "Files of the shared directory that were not what they were named for.", s => s.Wrong),
        ("evictions_total", "Bodies that this container evicted from the shared directory.", s => s.Evicted),
    ];

    private static readonly (string Name, string Help, Func<SharedStatistics, double> Value)[] SharedHeld =
    [
        ("usable", "Whether the shared directory can be read and written at the moment.", s => s.Problem is null ? 1 : 0),
        ("evicts", "Whether this container is the one that evicts.", s => s.Evicts ? 1 : 0),
        ("size_bytes", "Bytes of all bodies in the shared directory, when they were last counted.", s => s.Size),
        ("max_size_bytes", "Bytes that the shared directory may hold (cache.shared_max_size).", s => s.MaxSize),
    ];

    /// <summary>Adds them to <paramref name="registry"/>.</summary>
    public static void Register(CollectorRegistry registry, IServiceProvider services)
    {
        var metrics = services.GetRequiredService<IMetricFactory>();
        var cache = services.GetRequiredService<ContentCache>();
        Observe(registry, metrics, "discobot_cache", Counted, Held, cache.Statistics);
        if (cache.Statistics().SharedVolume is not null)
            Observe(registry, metrics, "discobot_cache_shared", SharedCounted, SharedHeld, () => cache.Statistics().SharedVolume!);
        if (cache.Statistics().Remote is not null)
            Observe(registry, metrics, "discobot_cache_remote", Remote, RemoteHeld, () => cache.Statistics().Remote!);
        ObserveCertificates(registry, metrics, services);
        if (services.GetRequiredService<ProxySettings>().Egress.IsServed)
            ObservePacketFilter(registry, metrics);
    }

    private static void Observe<T>(
        CollectorRegistry registry, IMetricFactory metrics, string prefix,
        (string Name, string Help, Func<T, double> Value)[] counted, (string Name, string Help, Func<T, double> Value)[] held, Func<T> read)
    {
        var counters = Array.ConvertAll(counted, m => metrics.CreateCounter($"{prefix}_{m.Name}", m.Help));
        var gauges = Array.ConvertAll(held, m => metrics.CreateGauge($"{prefix}_{m.Name}", m.Help));
        registry.AddBeforeCollectCallback(() =>
        {
            var now = read();
            for (var i = 0; i < counted.Length; i++)
                counters[i].IncTo(counted[i].Value(now));
            for (var i = 0; i < held.Length; i++)
                gauges[i].Set(held[i].Value(now));
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
