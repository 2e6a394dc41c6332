namespace Discobot.Infrastructure;

/// <summary>
/// Calls that may block for as long as somebody else likes (a name server, a network file system, a pipe), on threads of their own: neither the
/// threads that sockets wait for nor the thread pool lose one to them. One call per key at a time; whoever asks meanwhile shares its result.
/// </summary>
/// <param name="name">Of the threads, for debuggers.</param>
/// <param name="most">How many threads at a time; they end when there is nothing to do.</param>
/// <param name="limit">How long anybody waits for a result. The call itself goes on, and keeps its thread until it returns.</param>
/// <param name="call">The call, by key.</param>
/// <param name="time">The clock.</param>
/// <param name="groupOf">Whom a key is for: of the threads each has a share (<see cref="SharedPlaces"/>). Null: every key has one of its own.</param>
internal sealed class BlockingCalls<T>(
    string name, int most, TimeSpan limit, Func<string, T> call, TimeProvider? time = null, Func<string, string>? groupOf = null)
{
    /// <summary>Bytes; resolvers keep their packets on the stack.</summary>
    private const int StackSize = 256 << 10;

    /// <summary>Keys that wait for a thread; beyond, asking fails at once.</summary>
    private const int MaxWaiting = 4096;

    private static readonly TimeSpan Idle = TimeSpan.FromSeconds(10);

    private readonly TimeProvider _time = time ?? TimeProvider.System;
    private readonly object _lock = new();
    private readonly Dictionary<string, Call> _calls = new(StringComparer.Ordinal);
    private readonly SharedPlaces _places = new(most, MaxWaiting);

    /// <summary>Calls that have a place, and no thread yet.</summary>
    private readonly Queue<Call> _ready = [];

    private int _threads;
    private int _idle;

    /// <exception cref="TimeoutException">There was no result within the limit, or no thread.</exception>
    /// <exception cref="OperationCanceledException">By <paramref name="cancellation"/>; the call goes on for others.</exception>
    public Task<T> RunAsync(string key, CancellationToken cancellation) => Begin(key).WaitAsync(limit, _time, cancellation);

    private Task<T> Begin(string key)
    {
        lock (_lock)
        {
            if (_calls.TryGetValue(key, out var shared))
                return shared.Result.Task;
            var own = _calls[key] = new Call(key);
            _ = MakeAsync(own);
            return own.Result.Task;
        }
    }

    private async Task MakeAsync(Call own)
    {
        IDisposable? place = null;
        try
        {
            // Whoever wanted it has gone by then.
            using var patience = new CancellationTokenSource(limit, _time);
            place = await _places.EnterAsync(groupOf?.Invoke(own.Key) ?? own.Key, patience.Token);
            if (place is not null && TryReady(own))
            {
                await own.Returned.Task;
                return;
            }
        }
        catch (OperationCanceledException)
        {
            // Those before it did not return in time.
        }
        finally
        {
            place?.Dispose();
        }

        Finish(own).TrySetException(new TimeoutException());
        // Perhaps nobody waits for it any more.
        _ = own.Result.Task.Exception;
    }

    /// <returns>False when there is not one thread.</returns>
    private bool TryReady(Call own)
    {
        lock (_lock)
        {
            if (_idle <= _ready.Count && !TryAddThread())
                return false;
            _ready.Enqueue(own);
            Monitor.Pulse(_lock);
            return true;
        }
    }

    /// <returns>False when there is not one thread.</returns>
    private bool TryAddThread()
    {
        if (_threads == most)
            return true;
        try
        {
            new Thread(Work, StackSize) { IsBackground = true, Name = name }.Start();
            _threads++;
        }
        catch (OutOfMemoryException)
        {
            // The limit of the container's processes: those there are have to do.
        }

        return _threads > 0;
    }

    private void Work()
    {
        while (TryTake() is { } taken)
        {
            try
            {
                var result = call(taken.Key);
                Finish(taken).SetResult(result);
            }
            catch (Exception e)
            {
                Finish(taken).TrySetException(e);
                // Perhaps nobody waits for it any more.
                _ = taken.Result.Task.Exception;
            }
            finally
            {
                taken.Returned.SetResult();
            }
        }
    }

    /// <returns>Null: this thread is to end.</returns>
    private Call? TryTake()
    {
        lock (_lock)
        {
            while (true)
            {
                if (_ready.TryDequeue(out var next))
                    return next;
                _idle++;
                var woken = Monitor.Wait(_lock, Idle);
                _idle--;
                if (woken || _ready.Count > 0)
                    continue;
                _threads--;
                return null;
            }
        }
    }

    private TaskCompletionSource<T> Finish(Call done)
    {
        lock (_lock)
            _calls.Remove(done.Key);
        return done.Result;
    }

    private sealed class Call(string key)
    {
        public string Key => key;

        // Never on the thread that made the call: who waits may take long, too.
        public TaskCompletionSource<T> Result { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        /// <summary>The thread is free for another.</summary>
        public TaskCompletionSource Returned { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}
