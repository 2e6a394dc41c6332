namespace Discobot.Infrastructure;

/// <summary>
/// A number of places that groups share, so that no group can take them all: each may have as many as it leaves free. Alone it gets half of them,
/// of two each gets a third; a group that has none finds one for as long as there are fewer groups than places.
/// </summary>
/// <param name="most">Places.</param>
/// <param name="mostWaiting">How many may wait for one, shared in the same way; beyond, nobody waits.</param>
internal sealed class SharedPlaces(int most, int mostWaiting)
{
    private readonly Lock _lock = new();
    private readonly Dictionary<string, Group> _groups = new(StringComparer.Ordinal);

    /// <summary>Groups of which somebody waits, in the order of their turns.</summary>
    private readonly Queue<Group> _turns = [];

    private int _taken;
    private int _waiting;

    /// <summary>Takes a place, or waits for one; who has it leaves it by disposing it.</summary>
    /// <returns>Null: too many of this group wait already.</returns>
    /// <exception cref="OperationCanceledException">By <paramref name="cancellation"/>; the place in the row is left.</exception>
    public async ValueTask<IDisposable?> EnterAsync(string group, CancellationToken cancellation)
    {
        Group own;
        LinkedListNode<TaskCompletionSource> waiting;
        lock (_lock)
        {
            own = _groups.TryGetValue(group, out var known) ? known : _groups[group] = new Group(group);
            if (IsFreeFor(own))
                return Take(own);
            if (own.Waiting.Count >= mostWaiting - _waiting)
            {
                Forget(own);
                return null;
            }

            waiting = own.Waiting.AddLast(new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
            _waiting++;
            if (!own.HasTurn)
                own.HasTurn = Enqueue(own);
        }

        await using (cancellation.UnsafeRegister((_, token) => GiveUp(own, waiting, token), null))
            await waiting.Value.Task;
        return new Place(this, own);
    }

    /// <summary>Takes a place where there is one; nobody waits.</summary>
    public IDisposable? TryEnter(string group)
    {
        lock (_lock)
        {
            var own = _groups.TryGetValue(group, out var known) ? known : _groups[group] = new Group(group);
            if (IsFreeFor(own))
                return Take(own);
            Forget(own);
            return null;
        }
    }

    private bool IsFreeFor(Group group) => most - _taken is var free && (group.Taken == 0 ? free > 0 : group.Taken < free);

    private Place Take(Group group)
    {
        group.Taken++;
        _taken++;
        return new Place(this, group);
    }

    private void Leave(Group group)
    {
        lock (_lock)
        {
            group.Taken--;
            _taken--;
            // One place became free: at most one of those who wait may have it.
            for (var left = _turns.Count; left > 0; left--)
            {
                var next = _turns.Dequeue();
                var isTaken = next.Waiting.First is not null && IsFreeFor(next);
                if (isTaken)
                {
                    var first = next.Waiting.First!;
                    next.Waiting.Remove(first);
                    _waiting--;
                    next.Taken++;
                    _taken++;
                    first.Value.SetResult();
                }

                next.HasTurn = next.Waiting.Count > 0 && Enqueue(next);
                Forget(next);
                if (isTaken)
                    break;
            }

            Forget(group);
        }
    }

    private void GiveUp(Group group, LinkedListNode<TaskCompletionSource> waiting, CancellationToken cancellation)
    {
        lock (_lock)
        {
            // Who has been given the place meanwhile has it.
            if (waiting.List is null)
                return;
            group.Waiting.Remove(waiting);
            _waiting--;
            Forget(group);
        }

        waiting.Value.SetCanceled(cancellation);
    }

    private bool Enqueue(Group group)
    {
        _turns.Enqueue(group);
        return true;
    }

    private void Forget(Group group)
    {
        if (group is { Taken: 0, Waiting.Count: 0 } && !group.HasTurn)
            _groups.Remove(group.Name);
    }

    private sealed class Group(string name)
    {
        public string Name => name;

        public int Taken { get; set; }

        public bool HasTurn { get; set; }

        public LinkedList<TaskCompletionSource> Waiting { get; } = [];
    }

    private sealed class Place(SharedPlaces places, Group group) : IDisposable
    {
        private bool _left;

        public void Dispose()
        {
            if (Interlocked.Exchange(ref _left, true))
                return;
            places.Leave(group);
        }
    }
}
