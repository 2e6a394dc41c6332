using System.Collections.Concurrent;
using System.Net.Sockets;
using Discobot.Infrastructure.Wire;

namespace Discobot.Features.Cache.Revalidation;

/// <summary>
/// Asks origins about what is stored, and remembers for a short while to which of them no connection could be made. Where packets are dropped, each
/// question would cost the whole time that connecting may take, though the answer that stands in for it is at hand.
/// </summary>
/// <remarks>
/// Only what took long is remembered: an origin that refuses connections is asked each time, which costs nothing, and counts as soon as it is back.
/// The memory ends with the first connection that is made, of one that was connected and silent with its first answer, and by itself (<see cref="Memory"/>).
/// </remarks>
internal sealed class OriginReach(IUpstream upstream, CacheLimits limits, TimeProvider time)
{
    /// <summary>How long no connection is waited for after one could not be made.</summary>
    public static readonly TimeSpan Memory = TimeSpan.FromSeconds(30);

    /// <summary>Why what is stored answers, then.</summary>
    public const string WasAway = "no connection could be made a moment ago";

    /// <summary>The same, of one that is there.</summary>
    public const string WasSilent = "no answer came a moment ago";

    private const int MaxRemembered = 1000;

    private readonly ConcurrentDictionary<string, Absence> _away = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, bool> _probed = new(StringComparer.Ordinal);

    /// <summary>Whether no connection could be made to the origin of a request, a moment ago.</summary>
    public bool IsAway(ProxiedRequest request) =>
        IsRemembered(request) is { IsSilent: false };

    /// <summary>Whether it took connections a moment ago, and answered nothing.</summary>
    public bool IsSilent(ProxiedRequest request) => IsRemembered(request) is { IsSilent: true };

    private Absence? IsRemembered(ProxiedRequest request) =>
        _away.TryGetValue(CacheKey.OriginOf(request), out var absence) && time.GetElapsedTime(absence.Since) < Memory ? absence : null;

    /// <summary>As below, of whom an answer is waited for as long as it takes, once there is a connection.</summary>
    public Task<HttpResponseMessage> AskAsync(ProxiedRequest request, HttpRequestMessage message, bool isStoodInFor, CancellationToken cancel) =>
        AskAsync(request, message, isStoodInFor, maySilent: true, cancel);

    /// <summary>Asks, and waits for the head of the answer.</summary>
    /// <param name="request">Whose origin it is.</param>
    /// <param name="message">What is sent.</param>
    /// <param name="isStoodInFor">Whether there is another answer: then a connection is not waited for longer than <see cref="CacheLimits.Connecting"/>,
    /// counted from when it begins to be made: one that was kept may turn out to be dead before.</param>
    /// <param name="maySilent">Whether one that is there may take its time, and not only <see cref="CacheLimits.Answering"/>, also then.</param>
    /// <param name="cancel">Ends the question until its answer has begun.</param>
    /// <exception cref="TimeoutException">No connection, or no answer, was there in time; the origin is away or silent from now on.</exception>
    public async Task<HttpResponseMessage> AskAsync(ProxiedRequest request, HttpRequestMessage message, bool isStoodInFor, bool maySilent, CancellationToken cancel)
    {
        var origin = CacheKey.OriginOf(request);
        var started = time.GetTimestamp();
        var isConnected = false;
        var answering = isStoodInFor && !maySilent ? limits.Answering : Timeout.InfiniteTimeSpan;
        // Not disposed: it may be told of a connection as the answer comes.
        var patience = new CancellationTokenSource(isStoodInFor ? limits.Connecting : Timeout.InfiniteTimeSpan, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancel, patience.Token);
        UpstreamRequests.WatchConnecting(message, new(
            isKept => patience.CancelAfter(isStoodInFor && !isKept ? limits.Connecting : answering),
            () =>
            {
                isConnected = true;
                patience.CancelAfter(answering);
                if (_away.TryGetValue(origin, out var absence) && !absence.IsSilent)
                    _away.TryRemove(KeyValuePair.Create(origin, absence));
            }));
        try
        {
            var response = await upstream.AskAsync(message, limits.Silence, either.Token);
            patience.CancelAfter(Timeout.InfiniteTimeSpan);
            _away.TryRemove(origin, out _);
            return response;
        }
        catch (Exception e) when (!cancel.IsCancellationRequested)
        {
            var isLate = patience.IsCancellationRequested;
            if (isLate || (!isConnected && ConnectionFailure.Is(e) && time.GetElapsedTime(started) >= limits.Connecting))
                Remember(origin, isConnected);
            if (isLate && isConnected)
                throw new TimeoutException("no answer was there in time");
            if (isLate)
                throw new TimeoutException("no connection was there in time", new SocketException((int)SocketError.TimedOut));
            throw;
        }
    }

    /// <summary>Lets one try at a time whether an origin is back.</summary>
    /// <returns>To be disposed when that is known; null while another tries.</returns>
    public IDisposable? TryProbe(ProxiedRequest request)
    {
        var origin = CacheKey.OriginOf(request);
        return _probed.TryAdd(origin, true) ? new ProbeLease(_probed, origin) : null;
    }

    /// <summary>Tries beside an answer whether an origin is back, unless that is being tried.</summary>
    /// <param name="request">Whose origin it is.</param>
    /// <param name="message">What is sent, of a context that lasts.</param>
    public void Probe(ProxiedRequest request, HttpRequestMessage message)
    {
        if (TryProbe(request) is { } probe)
            _ = ProbeAsync(request, message, probe);
    }

    private async Task ProbeAsync(ProxiedRequest request, HttpRequestMessage message, IDisposable probe)
    {
        using (probe)
        {
            try
            {
                (await AskAsync(request, message, isStoodInFor: false, CancellationToken.None)).Dispose();
            }
            catch (Exception e) when (e is HttpRequestException or IOException or TimeoutException or OperationCanceledException)
            {
                // It is not.
            }
        }
    }

    private void Remember(string origin, bool isSilent)
    {
        if (_away.Count >= MaxRemembered)
            _away.Clear();
        _away[origin] = new Absence(time.GetTimestamp(), isSilent);
    }

    private sealed record Absence(long Since, bool IsSilent);

    private sealed class ProbeLease(ConcurrentDictionary<string, bool> probed, string origin) : IDisposable
    {
        public void Dispose() => probed.TryRemove(origin, out _);
    }
}
