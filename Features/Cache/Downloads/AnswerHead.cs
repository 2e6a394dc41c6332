using Discobot.Infrastructure.Wire;

namespace Discobot.Features.Cache.Downloads;

/// <summary>How long an answer may take to begin.</summary>
internal static class AnswerHead
{
    /// <summary>
    /// Waits for an answer's head, no longer than <paramref name="silence"/>. Once it is here neither that nor <paramref name="cancel"/> ends the body: it
    /// lasts as long as somebody reads it and bytes come, which is its reader's to see to.
    /// </summary>
    /// <returns>Goes on on a thread that may open files: never on one that sockets wait for (EventThreads).</returns>
    public static async Task<HttpResponseMessage> AskAsync(this IUpstream upstream, HttpRequestMessage message, TimeSpan silence, CancellationToken cancel)
    {
        // Not disposed: the body's connection may hold on to its token.
        var limit = new CancellationTokenSource(silence);
        HttpResponseMessage response;
        using (cancel.UnsafeRegister(static source => ((CancellationTokenSource)source!).Cancel(), limit))
            response = await upstream.SendAsync(message, limit.Token).ConfigureAwait(ConfigureAwaitOptions.ForceYielding);
        limit.CancelAfter(Timeout.InfiniteTimeSpan);
        return response;
    }
}
