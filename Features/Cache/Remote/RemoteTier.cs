using System.Security.Cryptography;

namespace Discobot.Features.Cache.Remote;

/// <summary>
/// The store as a tier: asked where a body is not here, offered what has come in. It says nothing of who may have a body, and its word on what a body
/// is counts for nothing: it is verified like any download. Whether it is there, denied or slow are three things, counted apart.
/// </summary>
internal sealed partial class RemoteTier(
    IRemoteStore store, CircuitBreaker breaker, KnownBodies known, UploadSpool spool, Uploads uploads, RemoteStats stats, TimeProvider time, ILogger<RemoteTier> log) : IBodyTier
{
    // Verified before any of it is sent: a wrong one costs a download and no client.
    private const int Small = 256 << 10;

    private static readonly Hash256 Empty = Hash256.Of("");

    private static readonly TimeSpan RefreshedAfter = TimeSpan.FromDays(1);
    private static readonly TimeSpan Trial = TimeSpan.FromSeconds(2);

    // What the store was asked for in vain last: only who gets an answer to that knows that it is back.
    private Hash256 _failed = Empty;

    public async ValueTask<TierBody?> OpenAsync(Hash256 digest, CancellationToken cancel)
    {
        if (breaker.IsOpen)
        {
            stats.Add(RemoteCount.NotAsked);
            return null;
        }

        if (known.IsWrong(digest) || known.IsAbsent(digest))
            return null;
        var (start, left) = (time.GetTimestamp(), breaker.Left);
        // Not disposed: what was opened may hold on to its token.
        var limit = new CancellationTokenSource(left > TimeSpan.Zero ? left : TimeSpan.FromMilliseconds(1), time);
        using var leaves = cancel.UnsafeRegister(static source => ((CancellationTokenSource)source!).Cancel(), limit);
        using var opens = breaker.Opening.UnsafeRegister(static source => ((CancellationTokenSource)source!).Cancel(), limit);
        RemoteObject? found = null;
        try
        {
            found = await store.GetAsync(digest, limit.Token).ConfigureAwait(ConfigureAwaitOptions.ForceYielding);
            if (found is null)
            {
                stats.Add(RemoteCount.Absent);
                known.Absent(digest);
                Tell(breaker.Missed(time.GetElapsedTime(start)), "it answers, and too slowly");
                return null;
            }

            return await BeginAsync(digest, found, limit.Token);
        }
        catch (Exception e)
        {
            found?.Dispose();
            // Whoever asked has gone: nothing is known of the store.
            if (cancel.IsCancellationRequested)
                return null;
            var waited = time.GetElapsedTime(start);
            if (e is not OperationCanceledException)
                Failed(digest, (e as RemoteException)?.Failure ?? RemoteFailure.Unavailable, waited, e.Message);
            else
                // A timer may be a little early, which would leave the breaker closed for the next to wait as long.
                Failed(digest, RemoteFailure.Slow, waited > left ? waited : left, "no answer in time");
            return null;
        }
    }

    /// <summary>Whether the store answers what it did not answer last: by the beginning of that body, or by the word that it has not got it.</summary>
    public async Task<bool> TryAsync(CancellationToken cancel)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        limit.CancelAfter(Trial);
        try
        {
            using var found = await store.GetAsync(_failed, limit.Token);
            if (found is null || found.Length == 0)
                return true;
            var begun = new byte[Math.Min(found.Length, Small)];
            return await (await found.OpenAsync(limit.Token)).ReadAtLeastAsync(begun, begun.Length, throwOnEndOfStream: false, limit.Token) == begun.Length;
        }
        catch (Exception) when (!cancel.IsCancellationRequested)
        {
            return false;
        }
    }

    public void Offer(Hash256 digest, string path, long length, bool fromNear)
    {
        // What came from there is there.
        if (known.IsPresent(digest))
            return;
        if (spool.TryAdd(digest, path, length))
            uploads.Wake(digest, fromNear);
        else
            stats.Add(RemoteCount.Dropped);
    }

    public RemoteStatistics Statistics() => stats.Read(breaker.IsOpen, spool.Count, spool.Bytes);

    private async Task<TierBody?> BeginAsync(Hash256 digest, RemoteObject found, CancellationToken limit)
    {
        var content = await found.OpenAsync(limit);
        var begun = new byte[(int)Math.Min(found.Length, Small)];
        var read = found.Length <= Small
            ? await content.ReadAtLeastAsync(begun, begun.Length, throwOnEndOfStream: false, limit)
            : await content.ReadAsync(begun, limit);
        if (read == 0 && found.Length > 0 || (found.Length <= Small && read < found.Length))
            throw new RemoteException(RemoteFailure.Unavailable, "it ended before it was complete");
        if (found.Length <= Small && !IsOf(digest, begun))
        {
            found.Dispose();
            Wrong(digest);
            return null;
        }

        breaker.Succeeded();
        known.Present(digest);
        stats.Add(RemoteCount.Hit);
        stats.Add(RemoteCount.BytesRead, found.Length);
        if (found.Modified is { } modified && time.GetUtcNow() - modified > RefreshedAfter)
            uploads.Refresh(digest, found.Length);
        var body = new RemoteBody(
            found, content, begun.AsMemory(0, read), breaker, time, (failure, waited, reason) => Failed(digest, failure, waited, reason),
            (waited, bytes) => Tell(breaker.Slowed(waited, bytes), "it sends too slowly"));
        return new TierBody(body, found.Length, this) { Wrong = () => Wrong(digest), Disputed = () => Wrong(digest) };
    }

    // It is not asked for that body again, and is given the right one when there is one.
    private void Wrong(Hash256 digest)
    {
        known.Wrong(digest);
        stats.Add(RemoteCount.Wrong);
        LogWrong(digest);
    }

    private void Failed(Hash256 digest, RemoteFailure failure, TimeSpan waited, string reason)
    {
        stats.Add(failure switch
        {
            RemoteFailure.Denied => RemoteCount.Denied,
            RemoteFailure.Slow => RemoteCount.Slow,
            _ => RemoteCount.Unavailable,
        });
        _failed = digest;
        Tell(breaker.Failed(waited), reason);
    }

    private void Tell(bool opened, string reason)
    {
        if (opened)
            LogAway(reason);
    }

    private static bool IsOf(Hash256 digest, byte[] bytes)
    {
        Span<byte> hash = stackalloc byte[Hash256.Size];
        SHA256.HashData(bytes, hash);
        return Hash256.Read(hash) == digest;
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "remote cache is left alone for a while {Reason}")]
    private partial void LogAway(string reason);

    [LoggerMessage(Level = LogLevel.Warning, Message = "remote cache has another body under {Digest}")]
    private partial void LogWrong(Hash256 digest);
}
