using Discobot.Infrastructure.Wire;

namespace Discobot.Features.Cache;

/// <summary>The downloads under way, by what they download: at most one for each missing entry.</summary>
internal sealed class Fills : IDisposable
{
    /// <summary>An upstream that sends nothing for this long, before or in its answer, counts as broken.</summary>
    private static readonly TimeSpan Silence = TimeSpan.FromSeconds(60);

    private readonly Lock _lock = new();
    private readonly Dictionary<Hash256, Flight> _flights = [];
    private readonly HashSet<Fill> _fills = [];
    private readonly IUpstream _upstream;
    private readonly CacheStore _store;
    private readonly CacheStats _stats;
    private readonly TimeProvider _time;
    private readonly ILogger<Fills> _log;
    private readonly ITimer _watch;

    public Fills(IUpstream upstream, CacheStore store, CacheStats stats, TimeProvider time, ILogger<Fills> log)
    {
        (_upstream, _store, _stats, _time, _log) = (upstream, store, stats, time, log);
        _watch = time.CreateTimer(_ => CheckStalled(), null, Silence / 4, Silence / 4);
    }

    /// <summary>Enters the flight for this target, beginning one if there is none.</summary>
    /// <returns>The flight, to be left, and whether the caller leads it and so must <see cref="Send"/>.</returns>
    public (Flight Flight, bool Leads) Enter(CacheTarget target)
    {
        lock (_lock)
        {
            var leads = !_flights.TryGetValue(KeyOf(target), out var flight);
            if (flight is null)
                _flights.Add(KeyOf(target), flight = new Flight(KeyOf(target)));
            flight.Enter();
            return (flight, leads);
        }
    }

    /// <summary>Enters the flight for this target if there is one.</summary>
    public Flight? EnterExisting(CacheTarget target)
    {
        lock (_lock)
        {
            if (_flights.TryGetValue(KeyOf(target), out var flight))
                flight.Enter();
            return flight;
        }
    }

    /// <summary>Sends the leader's request; what comes of it is the flight's outcome. It outlives the leader.</summary>
    public void Send(Flight flight, CacheTarget target, HttpRequestMessage message, CacheOptions options) =>
        _ = SendAsync(flight, new FillRequest(target, message, _upstream, options, _stats, _time));

    /// <summary>The leader found that nothing needs to be sent: those who wait look into the store again.</summary>
    public void Withdraw(Flight flight) => Land(flight, new(null, null, null));

    /// <summary>Waits for the downloads under way and, when time is up, breaks them off.</summary>
    public async Task DrainAsync(CancellationToken limit)
    {
        Fill[] fills;
        lock (_lock)
            fills = [.. _fills];
        using var registration = limit.Register(() => Array.ForEach(fills, f => f.Cancel()));
        await Task.WhenAll(fills.Select(f => f.Completion));
    }

    public void Dispose() => _watch.Dispose();

    private async Task SendAsync(Flight flight, FillRequest request)
    {
        HttpResponseMessage? response = null;
        try
        {
            using var limit = CancellationTokenSource.CreateLinkedTokenSource(flight.Cancelled);
            limit.CancelAfter(Silence);
            // A file is made next: not on a thread that sockets wait for (EventThreads).
            response = await _upstream.SendAsync(request.Message, limit.Token).ConfigureAwait(ConfigureAwaitOptions.ForceYielding);
            if (Begin(request, response) is not { } fill)
            {
                Land(flight, new(null, response, null));
                return;
            }

            flight.Complete(new(fill, null, null));
            await fill.Completion;
            lock (_lock)
                _fills.Remove(fill);
            Remove(flight);
        }
        catch (Exception e)
        {
            response?.Dispose();
            Land(flight, new(null, null, e));
        }
    }

    private Fill? Begin(FillRequest request, HttpResponseMessage response)
    {
        if (!StorableAnswer.Is(request.Target, response, request.Options))
            return null;
        try
        {
            var fill = new Fill(request, response, _store.CreateTemporary(), _store, _log);
            lock (_lock)
                _fills.Add(fill);
            return fill;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            _log.LogWarning("cache passes through without storing {Path} {Reason}", request.Target.Key.Text, e.Message);
            return null;
        }
    }

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

    private void CheckStalled()
    {
        Fill[] fills;
        lock (_lock)
            fills = [.. _fills];
        Array.ForEach(fills, f => f.CheckStalled(Silence));
    }

    // By digest where it names the content, so that a mirror and a CDN share one download; manifests apart, for their media type.
    private static Hash256 KeyOf(CacheTarget target) =>
        target is { ByDigest: true, Digest: { } digest } ? digest.Hash with { D = digest.Hash.D ^ (ulong)digest.Kind } : target.Key.Hash;
}
