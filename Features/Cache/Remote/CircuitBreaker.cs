namespace Discobot.Features.Cache.Remote;

/// <summary>
/// Keeps a store that is away or slow from costing anybody more than its budget. Whatever was waited for it in vain is taken from the budget, which
/// comes back over a minute; when it is spent, or after several failures in a row, the breaker opens: nobody asks any more, and those who wait stop at once. It is
/// closed by a question that nobody waits for (<see cref="WaitToTryAsync"/>), after a while that grows as long as the store answers nothing.
/// </summary>
internal sealed class CircuitBreaker(TimeProvider time, TimeSpan? budget = null) : IDisposable
{
    /// <summary>What all clients together may wait in vain: a second, less what it takes to go on to the origin.</summary>
    public static readonly TimeSpan UsualBudget = TimeSpan.FromMilliseconds(900);

    private static readonly TimeSpan Refill = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan FirstPause = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan LongestPause = TimeSpan.FromMinutes(5);
    private const int MostFailures = 5;

    // Timers go by a coarser clock than what was waited: who waited for all that was left may have done so some milliseconds too short.
    private static readonly TimeSpan Tick = TimeSpan.FromMilliseconds(10);

    // 1 MiB/s. A store that is slower costs a client more than the origin would.
    private const double UsefulBytesPerSecond = 1 << 20;

    private readonly Lock _lock = new();
    private CancellationTokenSource _opening = new();
    private TaskCompletionSource _closed = Done();
    private TaskCompletionSource _opened = New();
    private int _underWay;
    private TimeSpan _spent;
    private long _spentAt;
    private int _failures;
    private TimeSpan _pause = FirstPause;
    private DateTimeOffset _openUntil;

    public bool IsOpen { get { lock (_lock) return !_closed.Task.IsCompleted; } }

    /// <summary>Of this one.</summary>
    public TimeSpan Budget { get; } = budget ?? UsualBudget;

    /// <summary>How long one may wait: what is left of the budget.</summary>
    public TimeSpan Left
    {
        get
        {
            lock (_lock)
                return Budget - Spent();
        }
    }

    /// <summary>Is cancelled when it opens.</summary>
    public CancellationToken Opening { get { lock (_lock) return _opening.Token; } }

    /// <summary>Completes when it is closed.</summary>
    public Task ClosedAsync(CancellationToken cancel)
    {
        lock (_lock)
            return _closed.Task.WaitAsync(cancel);
    }

    /// <summary>The store gave what it was asked for.</summary>
    public void Succeeded()
    {
        lock (_lock)
            (_failures, _pause) = (0, FirstPause);
    }

    /// <summary>The store answered that it has not got it, which costs nothing but time.</summary>
    /// <returns>True when that opened it.</returns>
    public bool Missed(TimeSpan waited)
    {
        lock (_lock)
            _failures = 0;
        return Spend(waited, failures: 0);
    }

    /// <summary>The store did not answer, or not what it was asked for.</summary>
    /// <returns>True when that opened it.</returns>
    public bool Failed(TimeSpan waited) => Spend(waited, failures: 1);

    /// <summary>The store sent something. What that took beyond a useful rate, which all bodies under way share, was waited for in vain.</summary>
    /// <returns>True when that opened it.</returns>
    public bool Slowed(TimeSpan waited, long bytes)
    {
        var beyond = waited - TimeSpan.FromSeconds(bytes * Math.Max(1, Volatile.Read(ref _underWay)) / UsefulBytesPerSecond);
        return beyond > TimeSpan.Zero && Spend(beyond, failures: 0);
    }

    /// <summary>A body comes from the store.</summary>
    public void Begun() => Interlocked.Increment(ref _underWay);

    /// <summary>It comes no more.</summary>
    public void Ended() => Interlocked.Decrement(ref _underWay);

    /// <summary>Waits until it is open and the store may be asked whether it is back.</summary>
    public async Task WaitToTryAsync(CancellationToken cancel)
    {
        Task opened;
        lock (_lock)
            opened = _opened.Task;
        await opened.WaitAsync(cancel);
        TimeSpan rest;
        lock (_lock)
            rest = _openUntil - time.GetUtcNow();
        if (rest > TimeSpan.Zero)
            await Task.Delay(rest < LongestPause ? rest : LongestPause, time, cancel);
    }

    /// <summary>The store is back.</summary>
    public void Close()
    {
        TaskCompletionSource closed;
        lock (_lock)
        {
            (_failures, _spent) = (0, TimeSpan.Zero);
            _opening.Dispose();
            (_opening, _opened, closed) = (new CancellationTokenSource(), New(), _closed);
        }

        closed.TrySetResult();
    }

    /// <summary>The store is still away.</summary>
    public void StayOpen()
    {
        lock (_lock)
            Pause();
    }

    public void Dispose() => _opening.Dispose();

    private bool Spend(TimeSpan waited, int failures)
    {
        CancellationTokenSource opening;
        TaskCompletionSource opened;
        lock (_lock)
        {
            if (!_closed.Task.IsCompleted)
                return false;
            _spent = Spent() + waited;
            _spentAt = time.GetTimestamp();
            _failures += failures;
            if (Budget - _spent > Tick && _failures < MostFailures)
                return false;
            _closed = New();
            Pause();
            (opening, opened) = (_opening, _opened);
        }

        // Outside the lock: whoever waits goes on here and now.
        opening.Cancel();
        opened.TrySetResult();
        return true;
    }

    private TimeSpan Spent()
    {
        var spent = _spent - (time.GetElapsedTime(_spentAt) * (Budget / Refill));
        return spent > TimeSpan.Zero ? spent : TimeSpan.Zero;
    }

    // A tenth more or less, so that those whom one outage hit do not come back at one moment.
    private void Pause()
    {
        _openUntil = time.GetUtcNow() + (_pause * (0.9 + (Random.Shared.NextDouble() * 0.2)));
        _pause = _pause * 2 < LongestPause ? _pause * 2 : LongestPause;
    }

    private static TaskCompletionSource New() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    private static TaskCompletionSource Done()
    {
        var done = New();
        done.SetResult();
        return done;
    }
}
