using System.Diagnostics.CodeAnalysis;

namespace Discobot.Features.Cache.Hashes;

/// <summary>
/// Remembers the last values that were added, at least <paramref name="size"/> and at most twice as many: when the young half is full it becomes the old
/// one, and what was the old one is forgotten. What is added first is therefore never forgotten later than what follows it.
/// </summary>
internal sealed class RecentTable<T>(int size)
{
    private readonly Lock _lock = new();
    private Dictionary<Hash256, T> _young = [];
    private Dictionary<Hash256, T> _old = [];

    public bool IsEmpty
    {
        get
        {
            lock (_lock)
                return _young.Count == 0 && _old.Count == 0;
        }
    }

    public void Add(in Hash256 key, T value)
    {
        lock (_lock)
        {
            _young[key] = value;
            if (_young.Count >= size)
                (_old, _young) = (_young, []);
        }
    }

    public bool TryFind(in Hash256 key, [MaybeNullWhen(false)] out T value)
    {
        lock (_lock)
            return _young.TryGetValue(key, out value) || _old.TryGetValue(key, out value);
    }
}
