namespace Discobot.Features.Cache;

/// <summary>What the request for a missing entry led to.</summary>
/// <param name="Fill">A download that everyone who waits may share.</param>
/// <param name="Response">An answer that may not be shared or stored, for the one who asked; it disposes it.</param>
/// <param name="Failure">Upstream could not be asked.</param>
internal sealed record FlightOutcome(Fill? Fill, HttpResponseMessage? Response, Exception? Failure);

/// <summary>
/// One upstream request for a missing entry and those who wait for its answer. The first of them leads: its request is the one that is sent.
/// It is cancelled only when all of them have gone.
/// </summary>
internal sealed class Flight(Hash256 key) : IDisposable
{
    private readonly Lock _lock = new();
    private readonly TaskCompletionSource<FlightOutcome> _outcome = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly CancellationTokenSource _cancel = new();
    private int _waiting;
    private bool _leaderGone;

    public Hash256 Key { get; } = key;

    /// <summary>The answer's head.</summary>
    public Task<FlightOutcome> Outcome => _outcome.Task;

    public CancellationToken Cancelled => _cancel.Token;

    public void Enter()
    {
        lock (_lock)
            _waiting++;
    }

    /// <summary>Every <see cref="Enter"/> has one: the client got its answer's head, or went away.</summary>
    /// <param name="untaken">The leader went away without taking the outcome that was for it.</param>
    public void Leave(bool untaken = false)
    {
        lock (_lock)
        {
            if (untaken)
            {
                _leaderGone = true;
                if (_outcome.Task.IsCompleted)
                    Discard(_outcome.Task.Result);
            }

            _waiting--;
            if (_waiting > 0)
                return;
            if (!_outcome.Task.IsCompleted)
                _cancel.Cancel();
            else
                _outcome.Task.Result.Fill?.Reconsider();
        }
    }

    public void Complete(FlightOutcome outcome)
    {
        lock (_lock)
        {
            _outcome.SetResult(outcome);
            if (!_leaderGone)
                return;
            Discard(outcome);
            if (_waiting == 0)
                outcome.Fill?.Reconsider();
        }
    }

    public void Dispose() => _cancel.Dispose();

    private static void Discard(FlightOutcome outcome)
    {
        outcome.Fill?.First.Dispose();
        outcome.Response?.Dispose();
    }
}
