using System.Net;
using System.Net.Http.Headers;
using Discobot.Infrastructure.Wire;

namespace Discobot.Features.Cache.Registries;

/// <summary>
/// Answers an address whose digest is here under another one, once its own origin has said that it is there for this client: a HEAD with the
/// client's own request, a few hundred bytes instead of the download. A digest vouches for bytes, not for existence, fields or permission.
/// </summary>
internal sealed partial class OriginProof(
    IUpstream upstream, UpstreamRequests requests, CacheStore store, CacheHits hits, Fills fills, RedirectMemory redirects, TimeProvider time, ILogger<OriginProof> log)
{
    // An origin that does not answer HEAD in this time is asked for the body, as without a cache.
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

    private static readonly string[] OfTheClientAlone =
        ["Range", "If-Range", "If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since", "Accept-Encoding"];

    /// <returns>False when there is no such body or no such proof: the request is a miss, and the origin's answer to it counts.</returns>
    public async Task<bool> TryAnswerAsync(HttpContext context, CacheTarget target)
    {
        if (!target.Provable || target.Digest is not { } digest || store.Index.Get(target.Key.Hash) is not null)
            return false;
        // Opening reads from the disk: not on a thread that sockets wait for (EventThreads).
        if (store.Index.OfBody(digest.Hash).Count == 0 || await Task.Run(() => store.FindBody(digest.Hash)) is not { } body)
            return false;
        var asked = fills.Now();
        Proof? fields = null;
        try
        {
            fields = await AskAsync(context, target, body);
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

    private async Task<Proof?> AskAsync(HttpContext context, CacheTarget target, StoredBody body)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(context.RequestAborted);
        limit.CancelAfter(Patience);
        try
        {
            using var head = await upstream.SendAsync(Question(context, HttpMethod.Head), limit.Token);
            // Signed for GET alone, or a server that knows no HEAD.
            if (head.StatusCode is not (HttpStatusCode.BadRequest or HttpStatusCode.Forbidden or HttpStatusCode.MethodNotAllowed
                or HttpStatusCode.NotImplemented))
                return Judge(context, target, body, head);
            var question = Question(context, HttpMethod.Get);
            question.Headers.Range = new RangeHeaderValue(0, 0);
            using var first = await upstream.SendAsync(question, limit.Token);
            return Judge(context, target, body, first);
        }
        catch (Exception e) when (e is HttpRequestException or IOException or OperationCanceledException && !context.RequestAborted.IsCancellationRequested)
        {
            return null;
        }
    }

    private HttpRequestMessage Question(HttpContext context, HttpMethod method)
    {
        var message = requests.Create(new RequestSnapshot(context, method.Method).Context);
        foreach (var field in OfTheClientAlone)
            message.Headers.Remove(field);
        message.Headers.TryAddWithoutValidation("Accept-Encoding", "identity");
        return message;
    }

    private Proof? Judge(HttpContext context, CacheTarget target, StoredBody body, HttpResponseMessage response)
    {
        var fields = EndToEnd.Headers(response);
        if (RedirectMemory.IsRedirect((int)response.StatusCode))
            return JudgeRedirect(context, target, body, response);
        var length = response.StatusCode switch
        {
            HttpStatusCode.OK => response.Content.Headers.ContentLength,
            HttpStatusCode.PartialContent => response.Content.Headers.ContentRange?.Length,
            _ => null,
        };
        var named = fields.FirstOrDefault(f => f.Key.Equals("Docker-Content-Digest", StringComparison.OrdinalIgnoreCase)).Value;
        if (length != body.Length || (named is not null && named != body.Digest) || response.Content.Headers.NonValidated.Contains("Content-Encoding"))
            return null;
        return new Proof(EndToEnd.Storable(fields, cookies: false), !StorableAnswer.Forbids(response, "no-store"));
    }

    // Registries answer GET, and some HEAD, by a redirect to where the bytes lie. A redirect to a login page looks much the same, but neither names
    // the digest nor is signed.
    private Proof? JudgeRedirect(HttpContext context, CacheTarget target, StoredBody body, HttpResponseMessage response)
    {
        if (!response.Headers.NonValidated.TryGetValues("Location", out var values)
            || !RedirectMemory.TryResolve(ProxiedRequest.Of(context), values.ToString(), out var location))
            return null;
        if (ContentDigest.Find(location.AbsolutePath)?.Hash != body.Entry.Digest && !CountedQuery.IsSignedByStorage(location.Query))
        {
            redirects.Remember(target, ProxiedRequest.Of(context), (int)response.StatusCode, values.ToString());
            return null;
        }

        return NeutralFields.Of(target.Kind, body) is { } fields ? new Proof(fields, !StorableAnswer.Forbids(response, "no-store")) : null;
    }

    private sealed record Proof(IReadOnlyList<KeyValuePair<string, string>> Headers, bool MayBeStored);

    [LoggerMessage(Level = LogLevel.Information, Message = "cache proven by its origin {Path} {Id}")]
    private partial void LogProven(string path, string id);
}
