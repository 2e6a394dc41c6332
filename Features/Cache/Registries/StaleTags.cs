using System.Text.RegularExpressions;
using Discobot.Features.Cache.Revalidation;
using Discobot.Infrastructure.Wire;

namespace Discobot.Features.Cache.Registries;

/// <summary>
/// Tags, which move and so are always asked for. With <c>cache.stale_tags</c> what a tag last was answers for it while its registry cannot be
/// reached or says 429 or 5xx, with a warning (RFC 7234, 5.5.2) and a log line.
/// </summary>
internal sealed partial class StaleTags
{
    private const int MaxAwaited = 1024;

    private readonly Lock _lock = new();
    private readonly Dictionary<Hash256, EntryMetadata> _awaited = [];
    private readonly CacheStore _store;
    private readonly CacheHits _hits;
    private readonly CacheMisses _misses;
    private readonly CacheStats _stats;
    private readonly Fills _fills;
    private readonly OriginReach _reach;
    private readonly UpstreamRequests _requests;
    private readonly TimeProvider _time;
    private readonly ILogger<StaleTags> _log;

    public StaleTags(
        CacheStore store, CacheHits hits, CacheMisses misses, CacheStats stats, Fills fills, OriginReach reach, UpstreamRequests requests,
        TimeProvider time, ILogger<StaleTags> log)
    {
        (_store, _hits, _misses, _stats, _fills, _reach) = (store, hits, misses, stats, fills, reach);
        (_requests, _time, _log) = (requests, time, log);
        store.Added += Link;
    }

    /// <summary>The tag that a request asks for; null when it asks for something else or the option is off.</summary>
    public static CacheTarget? Of(CacheOptions options, ProxiedRequest request) =>
        options is { Enabled: true, StaleTags: true } && TagPath().IsMatch(request.Path)
            ? new CacheTarget(KeyOf(request), null) { Kind = BodyKind.Manifest }
            : null;

    /// <summary>No address has a fragment, so no rule can make the record of a tag answer as a fresh one.</summary>
    public static CacheKey KeyOf(ProxiedRequest request) => CacheKey.Of(CacheKey.OriginOf(request) + request.Path + "#tag");

    public async Task AskAsync(HttpContext context, CacheTarget tag, CacheOptions options)
    {
        var (request, asked) = (ProxiedRequest.Of(context), _fills.Now());
        var stored = await FindAsync(context, tag);
        HttpResponseMessage? response = null;
        ProxyError? error = null;
        string? trouble = null;
        try
        {
            if (stored is not null && _reach.IsAway(request))
            {
                trouble = OriginReach.WasAway;
                _reach.Probe(request, _requests.Create(new RequestSnapshot(context).Context));
            }
            else
            {
                response = await _reach.AskAsync(request, _requests.Create(context), isStoodInFor: stored is not null, context.RequestAborted);
                trouble = (int)response.StatusCode is 429 or >= 500 ? $"it said {(int)response.StatusCode}" : null;
            }
        }
        catch (Exception e) when (!context.RequestAborted.IsCancellationRequested)
        {
            error = UpstreamFailures.ToError(e, request.Target.Host);
            trouble = UpstreamFailures.IsUnreachable(error) ? error.Reason : null;
        }
        catch
        {
            stored?.Release();
            throw;
        }

        if (stored is not null && trouble is not null)
        {
            response?.Dispose();
            if (!await AnswerAsync(context, tag, stored, trouble))
                await ProxyErrors.WriteAsync(context, error ?? new ProxyError(502, "upstream_failed", $"{trouble}, and what was stored is damaged."));
            return;
        }

        stored?.Release();
        await (error is not null ? ProxyErrors.WriteAsync(context, error) : PassAsync(context, tag, response!, options, asked));
    }

    private Task PassAsync(HttpContext context, CacheTarget tag, HttpResponseMessage response, CacheOptions options, long asked)
    {
        var status = (int)response.StatusCode;
        // No digest vouches for what a tag was, so it is kept as any address that names none: not where its origin says private.
        var forbidden = StorableAnswer.Forbids(response, "no-store") || StorableAnswer.Forbids(response, "private");
        // What it was before would be shown in place of what nobody else may see now.
        if (status == StatusCodes.Status404NotFound || (status == StatusCodes.Status200OK && forbidden))
            Forget(tag.Key);
        return status != StatusCodes.Status200OK || forbidden ? UpstreamRelay.SendAsync(context, response, missed: false)
            : Methods.IsHead(context.Request.Method) ? RememberAsync(context, tag, response, asked)
            : StoreAsync(context, tag, response, options, asked);
    }

    private async Task StoreAsync(HttpContext context, CacheTarget tag, HttpResponseMessage response, CacheOptions options, long asked)
    {
        var client = new RequestSnapshot(context);
        var request = new FillRequest(tag, ProxiedRequest.Of(context), () => _requests.Create(client.Context), options) { Asked = asked };
        if (response.Content.Headers.NonValidated.Contains("Content-Encoding") || _fills.Begin(request, response) is not { } fill)
            await UpstreamRelay.SendAsync(context, response, missed: false);
        else
            await _misses.SendAsync(context, fill);
    }

    // dockerd and containerd ask HEAD for the tag, then GET by digest: the record waits for the body.
    private async Task RememberAsync(HttpContext context, CacheTarget tag, HttpResponseMessage response, long asked)
    {
        var fields = EndToEnd.Headers(response);
        var digest = fields.FirstOrDefault(f => f.Key.Equals("Docker-Content-Digest", StringComparison.OrdinalIgnoreCase)).Value ?? "";
        if (response.Content.Headers.ContentLength is { } length && digest.StartsWith("sha256:", StringComparison.Ordinal)
            && Hash256.TryParse(digest.AsSpan("sha256:".Length), out var hash))
        {
            var record = new EntryMetadata
            {
                Key = tag.Key.Text,
                Size = length,
                Digest = hash,
                StoredAt = _time.GetUtcNow().ToUnixTimeMilliseconds(),
                Kind = BodyKind.Manifest,
                Headers = EndToEnd.Storable(fields, cookies: false),
            };
            lock (_lock)
            {
                if (_awaited.Count >= MaxAwaited)
                    _awaited.Clear();
                // Whoever changes the tag says so before it comes to what is awaited.
                if (!_fills.HasChanged(tag.Key.Hash, asked))
                    _awaited[hash] = record;
            }

            if (_store.Index.OfBody(hash) is [var source, ..])
                Link(source);
        }

        await UpstreamRelay.SendAsync(context, response, missed: false);
    }

    private void Forget(CacheKey key)
    {
        StopAwaiting(key);
        _store.Invalidate(key);
    }

    /// <summary>What a HEAD has announced of a tag is no longer so, though its body has not come yet.</summary>
    public void StopAwaiting(CacheKey key)
    {
        lock (_lock)
        {
            foreach (var (digest, _) in _awaited.Where(awaited => awaited.Value.Key == key.Text).ToList())
                _awaited.Remove(digest);
        }
    }

    private void Link(CacheEntry stored)
    {
        EntryMetadata? record;
        lock (_lock)
        {
            if (!_awaited.Remove(stored.Digest, out record))
                return;
        }

        if (record.Size == stored.Size)
            _store.AddRecord(stored, record);
    }

    private async ValueTask<StoredBody?> FindAsync(HttpContext context, CacheTarget tag)
    {
        if (await _store.FindAsync(tag, context.RequestAborted) is not { } body)
            return null;
        if (Accepts(context.Request, body.Record.Metadata.Header("Content-Type")))
            return body;
        body.Release();
        return null;
    }

    private Task<bool> AnswerAsync(HttpContext context, CacheTarget tag, StoredBody body, string reason)
    {
        _stats.Offline();
        LogStale(tag.Key.Address, body.Digest, reason, ProxiedRequest.Of(context).Id);
        Flow.Of(context)?.Cache = FlowCache.Stale;
        context.Response.Headers.Warning = "111 discobot \"Revalidation Failed\"";
        return _hits.TrySendAsync(context, tag, body);
    }

    // One tag has several representations: an index for those who know indexes, one platform's manifest for the others.
    private static bool Accepts(HttpRequest request, string? type)
    {
        var accept = string.Join(',', request.Headers.Accept.AsEnumerable());
        return type is null || accept.Length == 0 || accept.Contains("*/*", StringComparison.Ordinal)
            || accept.Contains(type.Split(';')[0].Trim(), StringComparison.OrdinalIgnoreCase);
    }

    [GeneratedRegex("^/v2/.+/manifests/[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$", RegexOptions.CultureInvariant)]
    private static partial Regex TagPath();

    [LoggerMessage(Level = LogLevel.Warning, Message = "cache answers a tag with what it last was {Path} {Digest} {Reason} {Id}")]
    private partial void LogStale(string path, string digest, string reason, string id);
}
