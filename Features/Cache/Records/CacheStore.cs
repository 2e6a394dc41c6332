using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;
using Discobot.Infrastructure;
using Microsoft.Win32.SafeHandles;

namespace Discobot.Features.Cache.Records;

/// <summary>
/// The bodies on disk and the index over them. Nothing here knows HTTP: bodies come in complete and verified, and go out as
/// <see cref="StoredBody"/>. Any method may be called from any thread.
/// </summary>
[SuppressMessage("Design", "CA1001", Justification = "Its semaphores hold no handle, and late readers may still use them.")]
internal sealed partial class CacheStore
{
    private readonly Live<CacheRules> _rules;
    private readonly CacheStats _stats;
    private readonly TimeProvider _time;
    private readonly ILogger<CacheStore> _log;
    private readonly CacheDirectory _directory;
    private readonly OpenBodies _open = new();
    private readonly SemaphoreSlim _checks = new(2);
    private readonly SemaphoreSlim _flushes = new(4);
    private readonly ConcurrentDictionary<Task, bool> _commits = new();

    // Bodies on their way to their names, by key: a record of one must not be replaced before (UpdateAsync).
    private readonly ConcurrentDictionary<Hash256, Task> _unplaced = new();

    // Records on their way, by key: the origin may change what is there meanwhile (Invalidate).
    private readonly ConcurrentDictionary<Hash256, CacheEntry> _linking = new();

    // Files of one key are placed and deleted by one thread at a time; sixty-four locks are enough to keep keys out of each other's way.
    private readonly Lock[] _files = [.. Enumerable.Range(0, 64).Select(_ => new Lock())];

    public CacheStore(Live<CacheRules> rules, CacheStats stats, TimeProvider time, ILogger<CacheStore> log)
    {
        (_rules, _stats, _time, _log) = (rules, stats, time, log);
        Index = new CacheIndex(time);
        _directory = new CacheDirectory(rules.Value.Options.Dir);
        rules.Changed += _ => Trim();
    }

    public CacheIndex Index { get; }

    /// <summary>Raised when a body has come in. Handlers must not throw.</summary>
    public event Action<CacheEntry>? Added;

    private Lock FilesOf(in Hash256 key) => _files[key.A >> 58];

    /// <summary>Opens the record that answers <paramref name="target"/>; the caller releases it. Null is a miss.</summary>
    public async ValueTask<StoredBody?> FindAsync(CacheTarget target, CancellationToken cancel)
    {
        if (FindOpen(target, out var isKnown) is { } open)
            return OfItsVersion(target, open);
        // Opening reads from the disk: not on a thread that sockets wait for (EventThreads).
        if (isKnown && await Task.Run(() => Find(target), cancel) is { } body)
            return OfItsVersion(target, body);
        if (Loaded.IsCompleted)
            return null;

        // A restart must not cost a download of what is on disk.
        await Task.Run(() => Discover(target), cancel);
        await ListedAsync(cancel);
        return Find(target) is { } found ? OfItsVersion(target, found) : null;
    }

    // Known by its metadata alone, so when it is asked for.
    private StoredBody? OfItsVersion(CacheTarget target, StoredBody body)
    {
        if (body.Record.Metadata.Version >= target.OldestVersion)
            return body;
        body.Release();
        Evict(body.Entry);
        return null;
    }

    /// <summary>Opens a body whoever it was stored for; the caller releases it. What may be said of it to whom is not known here.</summary>
    /// <param name="digest">Of the body.</param>
    /// <param name="origin">Only a record of this origin will do; null for any.</param>
    public StoredBody? FindBody(Hash256 digest, string? origin = null) => Open(() => Index.FindBody(digest, origin));

    /// <summary>What stands in an entry's record; blocks for the disk. Null when it is gone or cannot be read at the moment.</summary>
    public EntryMetadata? Describe(CacheEntry entry)
    {
        try
        {
            return _directory.ReadMetadata(entry.Key) is { } record && record.Digest == entry.Digest && Hash256.Of(record.Key) == entry.Key ? record : null;
        }
        catch (Exception e) when (DiskFailure.Is(e))
        {
            return null;
        }
    }

    /// <summary>The key of <see cref="CredentialDigest"/>, once the directory is ours.</summary>
    public async Task<byte[]> CredentialKeyAsync()
    {
        await Loaded.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing | ConfigureAwaitOptions.ForceYielding);
        return _directory.CredentialKey();
    }

    private StoredBody? FindOpen(CacheTarget target, out bool isKnown)
    {
        var entry = Index.Find(target);
        isKnown = entry is not null;
        return entry is not null ? FindFresh(entry) : null;
    }

    private StoredBody? FindFresh(CacheEntry entry)
    {
        if (_open.Find(entry) is not { } open)
            return null;
        if (open.IsFresh())
            return open;
        open.Release();
        _open.Remove(entry);
        return null;
    }

    private StoredBody? Find(CacheTarget target) => Open(() => Index.Find(target));

    // An entry that is damaged is dropped, and then another one may answer. One that cannot be read at the moment stays.
    private StoredBody? Open(Func<CacheEntry?> find)
    {
        for (var tries = 0; tries < 3 && find() is { } entry; tries++)
        {
            if (TryOpen(entry, out var body))
                return body;
        }

        return null;
    }

    // False when the entry turned out to be damaged or gone.
    private bool TryOpen(CacheEntry entry, out StoredBody? body)
    {
        body = FindFresh(entry);
        if (body is not null)
            return true;
        try
        {
            body = OpenFromDisk(entry);
            if (!Index.Contains(entry))
                _open.Remove(entry);
            return body is not null;
        }
        catch (Exception e) when (DiskFailure.Is(e))
        {
            // No descriptor left, no permission, a disk that stumbled: none of these says anything about the body.
            LogDiskFailed("read an entry", e.Message);
            return true;
        }
    }

    private StoredBody? OpenFromDisk(CacheEntry entry)
    {
        var metadata = _directory.ReadMetadata(entry.Key);
        if (metadata is null || metadata.Digest != entry.Digest || metadata.Size != entry.Size || Hash256.Of(metadata.Key) != entry.Key)
        {
            // Replaced by a newer entry of the same key between the look-up and now, or torn.
            Drop(entry, "its metadata is missing or altered");
            return null;
        }

        var file = _directory.OpenBody(entry.Key);
        if (file is null || RandomAccess.GetLength(file) != entry.Size)
        {
            file?.Dispose();
            Drop(entry, "its body is missing or has another length");
            return null;
        }

        var stamp = StoredBody.StampOf(file);
        return entry.Size > StoredBody.MemoryLimit
            ? _open.Add(StoredBody.FromFile(entry, metadata, file, stamp, _checks))
            : OpenInMemory(entry, metadata, file, stamp);
    }

    private StoredBody? OpenInMemory(CacheEntry entry, EntryMetadata metadata, SafeFileHandle file, long stamp)
    {
        using (file)
        {
            var bytes = new byte[entry.Size];
            RandomAccess.Read(file, bytes, 0);
            Span<byte> hash = stackalloc byte[Hash256.Size];
            SHA256.HashData(bytes, hash);
            if (Hash256.Read(hash) == entry.Digest)
                return _open.Add(StoredBody.FromBytes(entry, metadata, bytes, stamp));
        }

        Drop(entry, "its body was altered");
        return null;
    }
}
