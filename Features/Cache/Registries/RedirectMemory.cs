using System.Diagnostics.CodeAnalysis;
using Discobot.Infrastructure.Wire;

namespace Discobot.Features.Cache.Registries;

/// <summary>
/// Which address a registry sent a blob's client to: what is expected there is stored for the registry's own address, so that the second pull
/// needs no redirect. The signed, tokened or UUID URL behind a redirect (S3 for ECR, <c>/artifacts-downloads/</c>
/// for Google's registries) names no digest; the request that led there did. Bounded, and forgotten after an hour: signatures do not last longer.
/// </summary>
internal sealed class RedirectMemory(TimeProvider time)
{
    private const int Capacity = 4096;
    private static readonly TimeSpan Lifetime = TimeSpan.FromHours(1);

    private readonly Lock _lock = new();
    private readonly Dictionary<Hash256, (CacheTarget Source, long Since)> _sources = [];
    private readonly Queue<Hash256> _order = new();

    /// <summary>Whether an answer sends its client elsewhere (RFC 9110, 15.4).</summary>
    public static bool IsRedirect(int status) => status is 301 or 302 or 303 or 307 or 308;

    /// <summary>Remembers where an answer redirects to. Answers that redirect nowhere are ignored.</summary>
    public void Remember(CacheTarget target, ProxiedRequest request, int status, string? location)
    {
        var source = target.Source ?? target;
        if (!source.Provable || !IsRedirect(status) || location is null || !TryResolve(request, location, out var uri))
            return;
        var key = KeyOf(uri.Scheme, uri.IdnHost, uri.Port, uri.PathAndQuery);
        lock (_lock)
        {
            if (_sources.TryAdd(key, default))
                _order.Enqueue(key);
            _sources[key] = (source, time.GetTimestamp());
            while (_order.Count > Capacity)
                _sources.Remove(_order.Dequeue());
        }
    }

    /// <summary>Where a redirect leads, relative or not.</summary>
    /// <returns>False for what cannot be followed: no web address, or a name that is none.</returns>
    public static bool TryResolve(ProxiedRequest request, string location, [NotNullWhen(true)] out Uri? uri)
    {
        try
        {
            return Uri.TryCreate(request.Uri, location, out uri) && uri.Scheme is "http" or "https" && uri.IdnHost.Length > 0;
        }
        catch (UriFormatException)
        {
            uri = null;
            return false;
        }
    }

    /// <summary>Adds to what the rules say of an address (null: nothing) what a redirect led here for.</summary>
    public CacheTarget? Expect(CacheOptions options, ProxiedRequest request, CacheTarget? target)
    {
        if (options is not { Enabled: true, ContentAware: true } || Find(request) is not { } source)
            return target;
        var origin = CacheKey.OriginOf(request);
        if (target is null)
            return new CacheTarget(CacheKey.Of(origin + request.PathAndQuery) with { Text = origin + request.Path }, null) { Source = source, Storable = false };
        return target.Key == source.Key || (target.Expected ?? source.Digest?.Hash) != source.Digest?.Hash ? target : target with { Source = source };
    }

    // What the address stands for, if a redirect led there within the last hour.
    private CacheTarget? Find(ProxiedRequest request)
    {
        lock (_lock)
        {
            if (_sources.Count == 0)
                return null;
        }

        var key = KeyOf(request.Scheme, request.Target.Host, request.Target.Port, request.PathAndQuery);
        lock (_lock)
        {
            return _sources.TryGetValue(key, out var known) && time.GetElapsedTime(known.Since) < Lifetime ? known.Source : null;
        }
    }

    // Clients spell escapes their own way when they follow a Location; unescaped, all spellings of one address are one.
    internal static Hash256 KeyOf(string scheme, string host, int port, string pathAndQuery) =>
        Hash256.Of($"{scheme}://{host.TrimStart('[').TrimEnd(']').ToLowerInvariant()}:{port}{Uri.UnescapeDataString(pathAndQuery)}");
}
