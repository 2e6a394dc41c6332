using Discobot.Infrastructure.Wire;

namespace Discobot.Features.Cache.Registries;

/// <summary>
/// Answers an address whose digest is here under another one, once its own origin has said that it is there for this client: a HEAD with the
/// client's own request, a few hundred bytes instead of the download. A digest vouches for bytes, not for existence, fields or permission.
/// </summary>
internal sealed partial class OriginProof(
    DigestProof proof, UpstreamRequests requests, CacheStore store, CacheHits hits, Fills fills, TimeProvider time, ILogger<OriginProof> log)
{
    /// <returns>False when there is no such body or no such proof: the request is a miss, and the origin's answer to it counts.</returns>
    public async Task<bool> TryAnswerAsync(HttpContext context, CacheTarget target)
    {
        if (!target.Provable || target.Digest is not { } digest || store.Index.Get(target.Key.Hash) is not null)
            return false;
        // Opening reads from the disk: not on a thread that sockets wait for (EventThreads).
        if (!store.Index.HasBody(digest.Hash) || await Task.Run(() => store.FindBody(digest.Hash)) is not { } body)
            return false;
        var asked = fills.Now();
        Proof? fields = null;
        try
        {
            fields = await proof.AskAsync(
                new(target, ProxiedRequest.Of(context), digest.Hash, body.Length,
                    method => requests.Create(new RequestSnapshot(context, method.Method).Context), () => NeutralFields.Of(target.Kind, body)),
                context.RequestAborted);
        }
        finally
        {
            // Also when the client left meanwhile.
            if (fields is null)
                body.Release();
        }

        if (fields is null)
            return false;

        var metadata = new EntryMetadata
        {
            Key = target.Key.Text,
            Size = body.Length,
            Digest = digest.Hash,
            StoredAt = time.GetUtcNow().ToUnixTimeMilliseconds(),
            Kind = target.Kind,
            Headers = fields.Headers,
        };
        if (fields.MayBeStored)
        {
            store.AddRecord(body.Entry, metadata);
            if (fills.HasChanged(target.Key.Hash, asked))
                store.Invalidate(target.Key);
        }

        LogProven(target.Key.Address, ProxiedRequest.Of(context).Id);
        Flow.Of(context)?.Cache = FlowCache.Revalidated;
        return await hits.TrySendAsync(context, target, body, new StoredRecord(metadata));
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "cache proven by its origin {Path} {Id}")]
    private partial void LogProven(string path, string id);
}
