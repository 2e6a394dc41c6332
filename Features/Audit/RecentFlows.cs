namespace Discobot.Features.Audit;

/// <summary>The last flows, in memory, and those who want to be told of the next ones.</summary>
internal sealed class RecentFlows : IFlowObserver
{
    /// <summary>How many are kept.</summary>
    public const int Most = 2000;

    /// <summary>Bytes that they may take: fewer are kept where paths are long.</summary>
    private const long MaxBytes = 4 << 20;

    /// <summary>How many may be told at a time.</summary>
    public const int MaxWatching = 32;

    private readonly Lock _lock = new();
    private readonly Queue<Flow> _flows = [];
    private readonly List<Watch> _watches = [];
    private long _weight;

    public void Ended(Flow flow)
    {
        lock (_lock)
        {
            _flows.Enqueue(flow);
            _weight += flow.Weight;
            while (_flows.Count > Most || (_weight > MaxBytes && _flows.Count > 1))
                _weight -= _flows.Dequeue().Weight;
            foreach (var watch in _watches)
                watch.Add(flow);
        }
    }

    /// <summary>Those that are kept, the oldest first.</summary>
    public IReadOnlyList<Flow> Kept()
    {
        lock (_lock)
            return [.. _flows];
    }

    /// <summary>Begins to tell of those that end from now on.</summary>
    /// <returns>Null when too many are told already.</returns>
    public Watch? Begin()
    {
        lock (_lock)
        {
            if (_watches.Count >= MaxWatching)
                return null;
            var watch = new Watch(this);
            _watches.Add(watch);
            return watch;
        }
    }

    /// <summary>What one of them has not yet been told.</summary>
    internal sealed class Watch(RecentFlows flows) : IDisposable
    {
        private List<Flow> _waiting = [];
        private long _weight;
        private long _missed;

        /// <summary>What has ended since the last time, and how many more that were too much to be kept.</summary>
        public (IReadOnlyList<Flow> Flows, long Missed) Take()
        {
            lock (flows._lock)
            {
                var taken = (_waiting, _missed);
                (_waiting, _weight, _missed) = ([], 0, 0);
                return taken;
            }
        }

        /// <summary>Called under the lock.</summary>
        public void Add(Flow flow)
        {
            if (_waiting.Count >= Most || _weight > MaxBytes)
            {
                _missed++;
                return;
            }

            _weight += flow.Weight;
            _waiting.Add(flow);
        }

        public void Dispose()
        {
            lock (flows._lock)
                flows._watches.Remove(this);
        }
    }
}
