using System.Net;
using System.Net.Http.Headers;
using Discobot.Infrastructure.Wire;

namespace Discobot.Features.Cache.Registries;

/// <summary>
/// Asks an origin whether it has a body of this digest and length for this client: its own answer to the client's own request (HEAD, or the first
/// byte where HEAD is not for asking).
/// </summary>
internal sealed class DigestProof(IUpstream upstream, RedirectMemory redirects)
{
    // An origin that does not answer HEAD in this time is asked for the body, as without a cache.
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

    private static readonly string[] OfTheClientAlone =
        ["Range", "If-Range", "If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since", "Accept-Encoding"];

    /// <returns>Null where there is no such word: the origin's answer to the request itself counts.</returns>
    public async Task<Proof?> AskAsync(ProofQuestion question, CancellationToken cancel)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        limit.CancelAfter(Patience);
        try
        {
            using var head = await upstream.SendAsync(Message(question, HttpMethod.Head), limit.Token);
            // Signed for GET alone, or a server that knows no HEAD.
            if (head.StatusCode is not (HttpStatusCode.BadRequest or HttpStatusCode.Forbidden or HttpStatusCode.MethodNotAllowed
                or HttpStatusCode.NotImplemented))
                return Judge(question, head);
            var message = Message(question, HttpMethod.Get);
            message.Headers.Range = new RangeHeaderValue(0, 0);
            using var first = await upstream.SendAsync(message, limit.Token);
            return Judge(question, first);
        }
        catch (Exception e) when (e is HttpRequestException or IOException or OperationCanceledException && !cancel.IsCancellationRequested)
        {
            return null;
        }
    }

    private static HttpRequestMessage Message(ProofQuestion question, HttpMethod method)
    {
        var message = question.CreateMessage(method);
        foreach (var field in OfTheClientAlone)
            message.Headers.Remove(field);
        message.Headers.TryAddWithoutValidation("Accept-Encoding", "identity");
        return message;
    }

    private Proof? Judge(ProofQuestion question, HttpResponseMessage response)
    {
        var fields = EndToEnd.Headers(response);
        if (RedirectMemory.IsRedirect((int)response.StatusCode))
            return JudgeRedirect(question, response);
        var length = response.StatusCode switch
        {
            HttpStatusCode.OK => response.Content.Headers.ContentLength,
            HttpStatusCode.PartialContent => response.Content.Headers.ContentRange?.Length,
            _ => null,
        };
        var named = fields.FirstOrDefault(f => f.Key.Equals("Docker-Content-Digest", StringComparison.OrdinalIgnoreCase)).Value;
        if (length is { } said && said != question.Length && (named is null || named == $"sha256:{question.Digest}") && !response.Content.Headers.NonValidated.Contains("Content-Encoding"))
            question.HasOtherLength?.Invoke();
        if (length != question.Length || (named is not null && named != $"sha256:{question.Digest}") || response.Content.Headers.NonValidated.Contains("Content-Encoding"))
            return null;
        return new Proof(EndToEnd.Storable(fields, cookies: false), !StorableAnswer.Forbids(response, "no-store"));
    }

    // Registries answer GET, and some HEAD, by a redirect to where the bytes lie. A redirect to a login page looks much the same, but neither names
    // the digest nor is signed.
    private Proof? JudgeRedirect(ProofQuestion question, HttpResponseMessage response)
    {
        if (!response.Headers.NonValidated.TryGetValues("Location", out var values)
            || !RedirectMemory.TryResolve(question.Client, values.ToString(), out var location))
            return null;
        if (ContentDigest.Find(location.AbsolutePath)?.Hash != question.Digest && !CountedQuery.IsSignedByStorage(location.Query))
        {
            redirects.Remember(question.Target, question.Client, (int)response.StatusCode, values.ToString());
            return null;
        }

        return question.Neutral() is { } fields ? new Proof(fields, !StorableAnswer.Forbids(response, "no-store")) : null;
    }
}

/// <param name="Target">What is asked for.</param>
/// <param name="Client">Who asks.</param>
/// <param name="Digest">Of the body that is at hand.</param>
/// <param name="Length">Of it.</param>
/// <param name="CreateMessage">The client's request, with another method.</param>
/// <param name="Neutral">The fields where the origin says only where its bytes lie; null where none can be told.</param>
internal sealed record ProofQuestion(
    CacheTarget Target, ProxiedRequest Client, Hash256 Digest, long Length, Func<HttpMethod, HttpRequestMessage> CreateMessage,
    Func<IReadOnlyList<KeyValuePair<string, string>>?> Neutral)
{
    /// <summary>Told where the origin has it, and in another length than what is at hand.</summary>
    public Action? HasOtherLength { get; init; }
}

/// <param name="Headers">What the origin says of the body for this address.</param>
/// <param name="MayBeStored">Whether it may become a record.</param>
internal sealed record Proof(IReadOnlyList<KeyValuePair<string, string>> Headers, bool MayBeStored);
