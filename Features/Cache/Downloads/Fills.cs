using Discobot.Infrastructure.Wire;

namespace Discobot.Features.Cache.Downloads;

/// <param name="Silence">An upstream that sends nothing for this long, before or in its answer, counts as broken
/// (<c>proxy.upstream_timeout</c>).</param>
internal sealed record CacheLimits(TimeSpan Silence)
{
    /// <summary>How long a connection is waited for where what is stored would do as well. A lost packet is sent again after a second (RFC 6298, 2).</summary>
    public TimeSpan Connecting { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>How long the head of an answer is waited for there, once there is a connection.</summary>
    public TimeSpan Answering { get; init; } = TimeSpan.FromSeconds(10);
}

/// <summary>The downloads under way, by the address that they download: at most one for each, and never one for two origins.</summary>
internal sealed class Fills : IDisposable
{
    private const int RememberedChanges = 16_384;
    private static readonly TimeSpan LongestWatch = TimeSpan.FromSeconds(15);

    private readonly Lock _lock = new();
    private readonly Dictionary<Hash256, Flight> _flights = [];
    private readonly Dictionary<Fill, Flight> _fills = [];

    // When addresses were last changed by a request that passed here, on a clock of our own: an answer that was asked for before may be of the former state.
    private readonly RecentTable<long> _changed = new(RememberedChanges);
    private long _clock;
    private readonly FillContext _context;
    private readonly OpenTraffic _traffic;
    private readonly TierAnswers _tiers;
    private readonly CacheLimits _limits;
    private readonly ILogger<Fills> _log;
    private readonly ITimer _watch;

    public Fills(
        IUpstream upstream, OpenTraffic traffic, CacheStore store, TierAnswers tiers, BodyTiers all, CacheStats stats, CacheLimits limits, TimeProvider time,
        ILogger<Fills> log)
    {
        (_traffic, _tiers, _limits, _log) = (traffic, tiers, limits, log);
        _context = new FillContext(upstream, store, all, stats, time, log);
        var period = limits.Silence == Timeout.InfiniteTimeSpan ? limits.Silence
            : TimeSpan.FromTicks(Math.Min(limits.Silence.Ticks / 4 + 1, LongestWatch.Ticks));
        _watch = time.CreateTimer(_ => CheckStalled(), null, period, period);
    }

    /// <summary>Takes a seat in the flight for this target, beginning one if there is none; a leader must <see cref="Send"/> or leave.</summary>
    public Flight.Seat Enter(CacheTarget target) => Enter(target.Key.Hash);

    /// <summary>Does so for those who ask alike for one address; a leader asks by itself.</summary>
    public Flight.Seat Enter(Hash256 key, Hash256? resource = null)
    {
        Fill? forsaken = null;
        Flight.Seat seat;
        lock (_lock)
        {
            // Its clients gave up on an upstream that sends nothing: the next one is better off with a connection of its own.
            if (_flights.TryGetValue(key, out var flight) && flight.Fill is { IsForsaken: true } fill)
                (forsaken, flight) = (fill, null);
            if (flight is null)
                seat = (_flights[key] = new Flight(key, resource)).Enter(Withdraw);
            else
                seat = flight.Enter(null);
        }

        forsaken?.Cancel();
        return seat;
    }

    /// <summary>Takes a seat in the flight for this target if there is one.</summary>
    public Flight.Seat? EnterExisting(CacheTarget target)
    {
        lock (_lock)
            return _flights.GetValueOrDefault(target.Key.Hash)?.Enter(null);
    }

    /// <summary>Sends the leader's request; what comes of it is the flight's outcome. It outlives the leader.</summary>
    public void Send(Flight.Seat seat, FillRequest request)
    {
        seat.Sent();
        _ = SendAsync(seat.Flight, request);
    }

    /// <summary>The moment of a question, for <see cref="HasChanged"/>.</summary>
    public long Now()
    {
        lock (_lock)
            return _clock;
    }

    /// <summary>Whether something at an address was changed by a request since a moment.</summary>
    public bool HasChanged(Hash256 resource, long since) => _changed.TryFind(resource, out var at) && at > since;

    /// <summary>The origin has changed what is there: no download of it that is under way is stored, and nobody joins one any more.</summary>
    /// <param name="resource">The address.</param>
    /// <param name="own">Of whoever has learned it from the origin, and may keep what that says now.</param>
    public void Invalidate(Hash256 resource, Flight? own = null)
    {
        lock (_lock)
        {
            _changed.Add(resource, ++_clock);
            foreach (var waiting in _flights.Values.Where(f => f != own && (f.Key == resource || f.Resource == resource)).ToList())
            {
                waiting.MakeObsolete();
                _flights.Remove(waiting.Key);
            }

            foreach (var (fill, flight) in _fills)
            {
                if (fill.Target.Key.Hash == resource || fill.Target.Source?.Key.Hash == resource || flight.Resource == resource)
                {
                    flight.MakeObsolete();
                    // One that nobody else waits for is in no flight that would know of it.
                    fill.DoNotStore();
                }
            }
        }
    }

    /// <summary>Waits for the downloads under way and, when time is up, breaks them off.</summary>
    public async Task DrainAsync(CancellationToken limit)
    {
        var fills = Current();
        using var registration = limit.Register(() => Array.ForEach(fills, f => f.Cancel()));
        await Task.WhenAll(fills.Select(f => f.Completion));
    }

    public void Dispose() => _watch.Dispose();

    private async Task SendAsync(Flight flight, FillRequest request)
    {
        HttpResponseMessage? response = null;
        try
        {
            using var forbidden = new CancellationTokenSource();
            using var watch = _traffic.Watch(request.Client, HttpMethods.Get, forbidden);
            using var unwanted = CancellationTokenSource.CreateLinkedTokenSource(flight.Abandoned, forbidden.Token);
            using var tier = await _tiers.FindAsync(request, unwanted.Token);
            if (tier.Answer is { } answer)
            {
                if (Begin(answer.Request, answer.Response, flight) is { } known)
                {
                    flight.Complete(new(known, null, null));
                    return;
                }

                // Nothing but a download checks what a tier sends.
                answer.Response.Dispose();
            }

            request = request with { Begun = tier.Begin };
            response = await _context.Upstream.AskAsync(request.CreateMessage(), _limits.Silence, unwanted.Token);
            if (!StorableAnswer.Is(request.Target, response, request.Options) || Begin(request, response, flight) is not { } fill)
            {
                Land(flight, new(null, response, null));
                return;
            }

            flight.Complete(new(fill, null, null));
        }
        catch (Exception e)
        {
            response?.Dispose();
            Land(flight, new(null, null, e));
        }
    }

    /// <summary>Begins to store an answer. Rules that forbid the request from now on end the download.</summary>
    /// <param name="request">What it answers.</param>
    /// <param name="response">The answer; the download owns it.</param>
    /// <param name="flight">Those who wait for it; null when that is one client alone.</param>
    /// <returns>Null, with a log line, when there is no file to store it in: pass it through.</returns>
    public Fill? Begin(FillRequest request, HttpResponseMessage response, Flight? flight = null)
    {
        try
        {
            var fill = new Fill(request, response, _context.Store.CreateTemporary(), _context);
            flight ??= new Flight(request.Target.Key.Hash, request.Resource);
            lock (_lock)
            {
                _fills.Add(fill, flight);
                if (request.Asked is { } asked && HasChanged(flight.Resource, asked))
                    fill.DoNotStore();
            }

            _ = FollowAsync(fill, flight, request);
            return fill;
        }
        catch (Exception e) when (DiskFailure.Is(e))
        {
            _log.LogWarning("cache passes through without storing {Path} {Reason}", request.Target.Key.Address, e.Message);
            return null;
        }
    }

    private async Task FollowAsync(Fill fill, Flight flight, FillRequest request)
    {
        using var forbidden = new CancellationTokenSource();
        await using (forbidden.Token.Register(fill.Cancel))
        using (_traffic.Watch(request.Client, HttpMethods.Get, forbidden))
            await fill.Completion;
        lock (_lock)
            _fills.Remove(fill);
        Remove(flight);
    }

    private void Withdraw(Flight flight) => Land(flight, FlightOutcome.Nothing);

    // Out of the table first: whoever comes now asks for itself instead of waiting for an answer that is not for it.
    private void Land(Flight flight, FlightOutcome outcome)
    {
        Remove(flight);
        flight.Complete(outcome);
    }

    private void Remove(Flight flight)
    {
        lock (_lock)
        {
            if (_flights.TryGetValue(flight.Key, out var current) && current == flight)
                _flights.Remove(flight.Key);
        }
    }

    private void CheckStalled() => Array.ForEach(Current(), f => f.CheckStalled(_limits.Silence));

    private Fill[] Current()
    {
        lock (_lock)
            return [.. _fills.Keys];
    }
}
