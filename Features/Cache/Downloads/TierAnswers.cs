using System.Net;
using Discobot.Features.Cache.Shared;

namespace Discobot.Features.Cache.Downloads;

/// <summary>
/// What a tier has, as if its origin had answered so: the origin's own word for this address and this client, and the tier's bytes behind it. It is
/// downloaded like any answer, which is what verifies it, keeps it here and asks the origin for the rest where the tier breaks off.
/// </summary>
/// <param name="tiers">Where bodies are.</param>
/// <param name="proof">Asks the origin.</param>
/// <param name="shared">Downloads of other containers; null where nothing is shared.</param>
internal sealed class TierAnswers(BodyTiers tiers, DigestProof proof, SharedDownloads? shared = null)
{
    /// <summary>Looks for what a request misses, as long as a few seconds where another container is about to have it.</summary>
    public async ValueTask<TierTurn> FindAsync(FillRequest request, CancellationToken cancel)
    {
        var target = request.Target;
        // A redirect's target is remembered only for what may be proven.
        if (!tiers.Any || target.Expected is not { } digest || !(target.Provable || target.Source is not null))
            return new TierTurn(null, null);
        var body = await tiers.OpenAsync(digest, nearest: true, cancel);
        var turn = body is null && shared is not null ? await shared.EnterAsync(digest, CacheKey.OriginOf(request.Client), cancel) : null;
        TierTurn? found = null;
        try
        {
            body ??= turn?.Body ?? await tiers.OpenAsync(digest, nearest: false, cancel);
            return found = new TierTurn(body is null ? null : await ProveAsync(request, digest, body, turn, cancel), turn);
        }
        finally
        {
            if (found?.Answer is null)
                body?.Dispose();
            if (found is null)
                turn?.Dispose();
        }
    }

    private async ValueTask<TierAnswer?> ProveAsync(FillRequest request, Hash256 digest, TierBody body, DownloadTurn? turn, CancellationToken cancel)
    {
        if (body.Length > request.Options.MaxSize)
            return null;
        var target = request.Target;
        var question = new ProofQuestion(
            target, request.Client, digest, body.Length, method => Question(request, method),
            // What a manifest is, it says itself, and this one has not been read yet.
            () => target.Kind == BodyKind.Manifest ? null : [new("Content-Type", "application/octet-stream")]);
        var word = await proof.AskAsync(question with { HasOtherLength = body.Disputed }, cancel);
        if (word is not { MayBeStored: true })
            return null;
        var response = new HttpResponseMessage(HttpStatusCode.OK) { Content = new StreamContent(body.Content) };
        response.Content.Headers.ContentLength = body.Length;
        foreach (var (name, value) in word.Headers)
        {
            if (!response.Headers.TryAddWithoutValidation(name, value))
                response.Content.Headers.TryAddWithoutValidation(name, value);
        }

        return new TierAnswer(request with { Tier = body, Begun = body.Begun + (turn is null ? null : turn.Begin) }, response);
    }

    private static HttpRequestMessage Question(FillRequest request, HttpMethod method)
    {
        var message = request.CreateMessage();
        message.Method = method;
        return message;
    }
}

/// <param name="Request">To begin the download with.</param>
/// <param name="Response">The download owns it, and with it the tier's body.</param>
internal sealed record TierAnswer(FillRequest Request, HttpResponseMessage Response);

/// <summary>What the tiers have to say to a request; left when its download has begun, or none did.</summary>
/// <param name="answer">Null where the origin is to be asked.</param>
/// <param name="turn">What other containers are to get of it.</param>
internal sealed class TierTurn(TierAnswer? answer, DownloadTurn? turn) : IDisposable
{
    public TierAnswer? Answer => answer;

    /// <summary>Whom a download from the origin is told; null: nobody.</summary>
    public Action<Fill, TemporaryBody>? Begin { get; } = turn is null ? null : turn.Begin;

    public void Dispose() => turn?.Dispose();
}
