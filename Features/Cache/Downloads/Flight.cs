using System.Diagnostics.CodeAnalysis;

namespace Discobot.Features.Cache.Downloads;

/// <summary>What the request for a missing record led to. All null: nothing was asked; look into the store again, or ask.</summary>
/// <param name="Fill">A download that everyone who waits may share.</param>
/// <param name="Response">An answer that may not be shared or stored, for the one who asked; it disposes it.</param>
/// <param name="Failure">Upstream could not be asked.</param>
internal sealed record FlightOutcome(Fill? Fill, HttpResponseMessage? Response, Exception? Failure)
{
    public static readonly FlightOutcome Nothing = new(null, null, null);
}

/// <summary>
/// One upstream request for a missing record and those who wait for its answer. The first of them leads: its request is the one that is sent.
/// It is cancelled only when all of them have gone.
/// </summary>
[SuppressMessage("Design", "CA1001", Justification = "The source holds no handle, and those who wait may outlast the flight.")]
/// <param name="key">Who asks for the same, waits together.</param>
/// <param name="resource">The address that is asked for; null where the key is its own.</param>
internal sealed class Flight(Hash256 key, Hash256? resource = null)
{
    private readonly Lock _lock = new();
    private readonly TaskCompletionSource<FlightOutcome> _outcome = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly CancellationTokenSource _abandoned = new();
    private int _seats;
    private bool _leaderGone;
    private bool _obsolete;

    public Hash256 Key { get; } = key;

    /// <summary>What a request that changes something there names.</summary>
    public Hash256 Resource { get; } = resource ?? key;

    /// <summary>When nobody waits any more.</summary>
    public CancellationToken Abandoned => _abandoned.Token;

    public Fill? Fill => _outcome.Task.IsCompletedSuccessfully ? _outcome.Task.Result.Fill : null;

    /// <summary>Takes a seat.</summary>
    /// <param name="withdraw">For the leader alone: takes the flight out of the table if it goes without having sent a request.</param>
    public Seat Enter(Action<Flight>? withdraw)
    {
        lock (_lock)
            _seats++;
        return new Seat(this, withdraw);
    }

    public void Complete(FlightOutcome outcome)
    {
        bool untaken, last;
        lock (_lock)
        {
            if (!_outcome.TrySetResult(outcome))
                return;
            if (_obsolete)
                outcome.Fill?.DoNotStore();
            (untaken, last) = (_leaderGone, _seats == 0);
        }

        if (untaken)
            Discard(outcome);
        if (last)
            outcome.Fill?.Reconsider();
    }

    public void MakeObsolete()
    {
        lock (_lock)
        {
            _obsolete = true;
            Fill?.DoNotStore();
        }
    }

    // The outcome that was the leader's and that it never took.
    private void Leave(bool untaken)
    {
        FlightOutcome? discarded = null;
        bool last, landed;
        lock (_lock)
        {
            _leaderGone |= untaken;
            landed = _outcome.Task.IsCompleted;
            if (untaken && landed)
                discarded = _outcome.Task.Result;
            last = --_seats == 0;
        }

        // Outside the lock: whatever hangs on these may run here and now.
        Discard(discarded);
        if (last && landed)
            Fill?.Reconsider();
        else if (last)
            _abandoned.Cancel();
    }

    private static void Discard(FlightOutcome? outcome)
    {
        outcome?.Fill?.First.Dispose();
        outcome?.Response?.Dispose();
    }

    /// <summary>A place among those who wait, left in every way out, by an exception too.</summary>
    internal sealed class Seat(Flight flight, Action<Flight>? withdraw) : IDisposable
    {
        private Action<Flight>? _withdraw = withdraw;
        private bool _taken;
        private int _left;

        /// <summary>Whether it was taken before the answer's head came, so that the answer is no older than the question.</summary>
        public bool IsEarly { get; } = !flight._outcome.Task.IsCompleted;

        /// <summary>Whether this one's request is the one that is sent.</summary>
        public bool Leads { get; } = withdraw is not null;

        public Flight Flight => flight;

        /// <summary>The request is on its way: others may depend on it from now on.</summary>
        public void Sent() => _withdraw = null;

        /// <summary>The leader has asked by itself, and this came of it: others may join.</summary>
        public void Begun(Fill fill)
        {
            (_withdraw, _taken) = (null, true);
            flight.Complete(new FlightOutcome(fill, null, null));
        }

        /// <summary>Waits for the answer's head.</summary>
        /// <exception cref="TimeoutException">It did not come in <paramref name="patience"/>.</exception>
        public async Task<FlightOutcome> TakeAsync(TimeSpan patience, TimeProvider time, CancellationToken cancel)
        {
            var outcome = await flight._outcome.Task.WaitAsync(patience, time, cancel);
            _taken = true;
            return outcome;
        }

        public void Dispose()
        {
            if (Interlocked.Exchange(ref _left, 1) != 0)
                return;
            _withdraw?.Invoke(flight);
            flight.Leave(untaken: Leads && !_taken);
        }
    }
}
