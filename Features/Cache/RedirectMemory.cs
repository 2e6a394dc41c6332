using Discobot.Infrastructure.Wire;

namespace Discobot.Features.Cache;

/// <summary>
/// Which address a registry sent a blob's client to. The signed, tokened or UUID URL behind a redirect (S3 for ECR, <c>/artifacts-downloads/</c>
/// for Google's registries) names no digest; the request that led there did. Bounded, and forgotten after an hour: signatures do not last longer.
/// </summary>
internal sealed class RedirectMemory(TimeProvider time)
{
    private const int Capacity = 4096;
    private static readonly TimeSpan Lifetime = TimeSpan.FromHours(1);

    private readonly Lock _lock = new();
    private readonly Dictionary<Hash256, (CacheTarget Target, long Expires)> _targets = [];
    private readonly Queue<Hash256> _order = new();

    /// <summary>Remembers where an answer redirects to. Answers that redirect nowhere are ignored.</summary>
    public void Remember(CacheTarget target, ProxiedRequest request, int status, string? location)
    {
        if (target is not { Storable: true, ByDigest: true } || status is not (301 or 302 or 303 or 307 or 308) || location is null
            || !Uri.TryCreate(request.Uri, location, out var uri))
            return;
        var key = KeyOf(uri);
        lock (_lock)
        {
            if (_targets.TryAdd(key, default))
                _order.Enqueue(key);
            _targets[key] = (target, time.GetUtcNow().Add(Lifetime).ToUnixTimeMilliseconds());
            while (_order.Count > Capacity)
                _targets.Remove(_order.Dequeue());
        }
    }

    /// <summary>What the cache has to do with a GET or HEAD: as its address says, or the request that was redirected there.</summary>
    public CacheTarget? Classify(CacheRules rules, ProxiedRequest request)
    {
        var target = rules.Classify(request);
        return target is { Storable: true } || !rules.Options.ContentAware ? target : Find(request) ?? target;
    }

    /// <summary>What the address stands for, if a redirect led there within the last hour.</summary>
    public CacheTarget? Find(ProxiedRequest request)
    {
        lock (_lock)
        {
            if (_targets.Count == 0)
                return null;
        }

        var key = KeyOf(request.Uri);
        lock (_lock)
        {
            return _targets.TryGetValue(key, out var known) && known.Expires > time.GetUtcNow().ToUnixTimeMilliseconds() ? known.Target : null;
        }
    }

    // Clients spell escapes their own way when they follow a Location; unescaped, all spellings of one address are one.
    private static Hash256 KeyOf(Uri uri) => Hash256.Of($"{uri.Scheme}://{uri.IdnHost}:{uri.Port}{Uri.UnescapeDataString(uri.PathAndQuery)}");
}
