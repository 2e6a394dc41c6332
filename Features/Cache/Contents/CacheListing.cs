using Discobot.Features.Cache.Revalidation;
using Discobot.Infrastructure;

namespace Discobot.Features.Cache.Contents;

/// <summary>The order of a listing. Each is one that the index knows: none needs the keys of all entries in memory.</summary>
internal enum ListOrder
{
    /// <summary>Last used first.</summary>
    Used,

    /// <summary>Largest first.</summary>
    Size,

    /// <summary>Stored or confirmed longest ago first.</summary>
    Age,
}

/// <summary>
/// What is stored, entry by entry. The texts of the keys are on the disk: every entry that is looked at costs reading its metadata, and nothing of it is
/// kept. Blocks while it reads; nothing is marked as used.
/// </summary>
internal sealed class CacheListing(CacheStore store, Live<CacheRules> rules, TimeProvider time)
{
    /// <summary>Waits until what has come in can be read from the disk, and what was there at the start is known.</summary>
    public async Task ReadyAsync(CancellationToken cancel)
    {
        await store.Loaded.WaitAsync(cancel);
        await store.CommittedAsync().WaitAsync(cancel).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        cancel.ThrowIfCancellationRequested();
    }

    /// <summary>The entries whose address matches, each read when it is asked for.</summary>
    public IEnumerable<ListedEntry> List(KeyPattern? pattern, ListOrder order)
    {
        foreach (var entry in Ordered(order))
        {
            if (Read(entry, pattern) is { Key.IsNames: false } found)
                yield return Describe(entry, found);
        }
    }

    /// <summary>The records of one address, or of one file.</summary>
    public IReadOnlyList<ShownEntry> Show(string name)
    {
        if (Hash256.TryParse(name, out var file))
            return store.Index.Get(file) is { } one && Read(one, null) is { } found ? [Show(one, found)] : [];
        var address = KeyPattern.Address(name);
        // An address that is kept for ever has one record, under its own name; the answers of one that may change have names of their own.
        if (store.Index.Get(CacheKey.Of(address).Hash) is { } own && Read(own, null) is { } record)
            return [Show(own, record)];
        return [.. Ordered(ListOrder.Used).Select(e => (Entry: e, Found: Read(e, null)))
            .Where(e => e.Found is { Key.IsNames: false } && e.Found.Key.Address == address).Select(e => Show(e.Entry, e.Found!))];
    }

    /// <summary>Removes what matches; a download under way is not disturbed.</summary>
    public EvictedEntries Evict(KeyPattern pattern, bool dryRun, CancellationToken cancel)
    {
        var count = 0;
        var bodies = new Dictionary<Hash256, (int Records, int All, long Size)>();
        foreach (var entry in store.Index.ToArray())
        {
            cancel.ThrowIfCancellationRequested();
            if (Read(entry, pattern) is not { } found)
                continue;
            count += found.Key.IsNames ? 0 : 1;
            var body = bodies.TryGetValue(entry.Digest, out var known) ? known : (0, store.Index.OfBody(entry.Digest).Count, entry.Size);
            bodies[entry.Digest] = (body.Item1 + 1, body.Item2, body.Item3);
            if (!dryRun)
                store.Evict(entry);
        }

        return new EvictedEntries(count, bodies.Values.Where(b => b.Records >= b.All).Sum(b => b.Size), dryRun);
    }

    private CacheEntry[] Ordered(ListOrder order)
    {
        var entries = store.Index.ToArray();
        switch (order)
        {
            case ListOrder.Size: Array.Sort(entries, (a, b) => b.Size.CompareTo(a.Size)); break;
            case ListOrder.Age: Array.Sort(entries, (a, b) => a.StoredAt.CompareTo(b.StoredAt)); break;
            default: Array.Reverse(entries); break;
        }

        return entries;
    }

    // Null when it is gone, cannot be read at the moment, or is another than the pattern's.
    private Found? Read(CacheEntry entry, KeyPattern? pattern)
    {
        if (store.Describe(entry) is not { } record)
            return null;
        var key = RecordKey.Of(record.Key);
        return pattern is null || pattern.Matches(key.Address) ? new Found(key, record) : null;
    }

    private ShownEntry Show(CacheEntry entry, Found found) => new(
        Describe(entry, found), entry.Digest.ToString(), found.Record.Status, store.Index.OfBody(entry.Digest).Count, ShownFields.Of(found.Record));

    private ListedEntry Describe(CacheEntry entry, Found found)
    {
        var (rule, state, left) = Judge(found);
        return new ListedEntry(
            found.Key.Address, entry.Key.ToString(), entry.Size, DateTimeOffset.FromUnixTimeMilliseconds(entry.StoredAt), entry.UsedAt, rule, state, left,
            found.Key.Vary, found.Key.IsPrivate);
    }

    private (string Rule, string State, long? Left) Judge(Found found)
    {
        if (found.Key.IsTag)
            return ("tag", "stale", null);
        if (!found.Key.MayChange)
            return (ContentDigest.Find(found.Key.Address.Split('?')[0]) is { IsAddress: true } ? "digest" : "immutable", "always", null);
        if (found.Key.ToRequest() is not { } request || rules.Value.RuleOfRecord(request, found.Key.IsPrivate) is not { } rule)
            return ("none", "unused", null);
        // Its host is asked each time (RFC 9111, 3.5).
        if (found.Key.IsPrivate)
            return (rule.Ecosystem ?? rule.Pattern.ToString(), "stale", null);
        var freshness = Freshness.Of(found.Record, rule, time.GetUtcNow());
        return (rule.Ecosystem ?? rule.Pattern.ToString(), freshness.IsFresh ? "fresh" : "stale", -freshness.Staleness);
    }

    private sealed record Found(RecordKey Key, EntryMetadata Record);
}
