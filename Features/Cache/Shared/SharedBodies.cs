using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using Discobot.Infrastructure.Native;
using Microsoft.Win32.SafeHandles;

namespace Discobot.Features.Cache.Shared;

/// <summary>
/// The shared directory as a tier. Each container reads a body there once, hashes it while it does, and keeps what it has hashed in its own directory: what
/// somebody does to the shared file afterwards concerns whoever has not read it yet, and is found out by that one.
/// </summary>
[SuppressMessage("Design", "CA1001", Justification = "Its semaphore holds no handle, and late copies may still use it.")]
internal sealed partial class SharedBodies(VolumeAccess access, SharedCounters counters, TimeProvider time, ILogger<SharedBodies> log) : IBodyTier
{
    private const int MaxWrong = 3;
    private const int MaxOffers = 256;

    // A wrong one of this size costs no client its transfer: a manifest, a configuration. 1 MiB.
    private const int CheckedAhead = 1 << 20;

    private const int RememberedWrong = 4096;
    private static readonly TimeSpan Distrust = TimeSpan.FromMinutes(10);

    // What was wrong under a digest is asked of the origin for a while, and after some of them, everything: whoever makes transfers break off at
    // their end does so a few times.
    private readonly RecentTable<long> _wrong = new(RememberedWrong);
    private readonly Lock _lock = new();
    private readonly Queue<long> _lately = new();
    private readonly ConcurrentDictionary<Hash256, object> _arriving = new();
    private readonly SemaphoreSlim _offers = new(2);
    private int _waiting;

    public bool IsNear => true;

    public async ValueTask<TierBody?> OpenAsync(Hash256 digest, CancellationToken cancel)
    {
        if (!IsTrusted(digest))
            return null;
        if (await access.TryAsync(volume => volume.OpenBody(digest) is { } file ? new OpenedBody(file, RandomAccess.GetLength(file)) : null, cancel) is not { } body)
            return null;
        var wrong = WrongIs(digest, body);
        if (body.Length > CheckedAhead)
            return new TierBody(new SharedStream(body.File, body.Length), body.Length, this) { Wrong = wrong, Begun = (_, _) => counters.Read() };
        using (body)
        {
            if (await access.TryAsync(_ => ReadWhole(body), cancel) is not { } bytes)
                return null;
            if (Digest(bytes) == digest)
                return new TierBody(new MemoryStream(bytes), bytes.Length, this) { Begun = (_, _) => counters.Read() };
        }

        wrong();
        return null;
    }

    public void Offer(Hash256 digest, string path, long length, bool fromNear)
    {
        // What a lease's owner writes gets there by itself.
        if (_arriving.ContainsKey(digest) || !access.IsWritable)
            return;
        if (Interlocked.Increment(ref _waiting) > MaxOffers)
            Interlocked.Decrement(ref _waiting);
        else
            _ = CopyAsync(digest, path, length);
    }

    /// <summary>Whether what is there under a digest may be tried.</summary>
    public bool IsTrusted(Hash256 digest)
    {
        lock (_lock)
        {
            while (_lately.TryPeek(out var first) && time.GetElapsedTime(first) > Distrust)
                _lately.Dequeue();
            if (_lately.Count >= MaxWrong)
                return false;
        }

        return !_wrong.TryFind(digest, out var at) || time.GetElapsedTime(at) > Distrust;
    }

    /// <summary>A body of this digest was another.</summary>
    public void Distrusted(Hash256 digest)
    {
        counters.Wrong();
        var now = time.GetTimestamp();
        _wrong.Add(digest, now);
        lock (_lock)
            _lately.Enqueue(now);
        LogWrong(digest);
    }

    /// <summary>Told while a lease's owner writes a body.</summary>
    public void Arrives(Hash256 digest, bool isDone)
    {
        if (isDone)
            _arriving.TryRemove(digest, out _);
        else
            _arriving[digest] = _arriving;
    }

    private static byte[] ReadWhole(OpenedBody body)
    {
        var bytes = new byte[body.Length];
        var length = 0;
        for (int read; (read = RandomAccess.Read(body.File, bytes.AsSpan(length), length)) > 0;)
            length += read;
        return bytes[..length];
    }

    private static Hash256 Digest(byte[] bytes) => Hash256.Read(System.Security.Cryptography.SHA256.HashData(bytes));

    // The name may lead to another file by then, which nobody has found wrong.
    private Action WrongIs(Hash256 digest, OpenedBody body) => () =>
    {
        Distrusted(digest);
        _ = access.TryAsync(volume => SetAside(volume, digest, body), CancellationToken.None).AsTask();
    };

    private static string SetAside(SharedVolume volume, Hash256 digest, OpenedBody body)
    {
        using var now = volume.OpenBody(digest);
        // By what identified it when it was opened: the download has closed it since.
        if (now is not null && body.Identity == OpenedBody.IdentityOf(now))
            volume.SetAside(digest, now);
        return "";
    }

    private async Task CopyAsync(Hash256 digest, string path, long length)
    {
        await _offers.WaitAsync().ConfigureAwait(ConfigureAwaitOptions.ForceYielding);
        try
        {
            await access.TryWriteAsync(volume => new(Task.Run(() => Copy(volume, digest, path, length))));
        }
        finally
        {
            _offers.Release();
            Interlocked.Decrement(ref _waiting);
        }
    }

    private void Copy(SharedVolume volume, Hash256 digest, string path, long length)
    {
        if (volume.Has(digest, length))
            return;
        SafeFileHandle source;
        try
        {
            source = File.OpenHandle(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        }
        catch (Exception e) when (DiskFailure.Is(e))
        {
            // Evicted meanwhile: that says nothing of the shared directory.
            return;
        }

        using (source)
        {
            var (name, file) = volume.CreateIncoming();
            using (file)
            {
                try
                {
                    FileCopy.Append(source, file, 0, length);
                    RandomAccess.FlushToDisk(file);
                    volume.Place(name, digest);
                    counters.Placed();
                }
                catch
                {
                    volume.DeleteIncoming(name);
                    throw;
                }
            }
        }
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "shared cache holds something else as sha256:{Digest}, set aside")]
    private partial void LogWrong(Hash256 digest);
}

/// <summary>A file of the shared directory, and which it was.</summary>
internal sealed class OpenedBody(SafeFileHandle file, long length) : IDisposable
{
    public SafeFileHandle File { get; } = file;

    public long Length { get; } = length;

    public (ulong Device, ulong Inode) Identity { get; } = IdentityOf(file);

    public static (ulong Device, ulong Inode) IdentityOf(SafeFileHandle file)
    {
        const uint Inode = 0x100;
        return Libc.StatX(file, [0], Libc.EmptyPath, Inode, out var status) == 0
            ? (((ulong)status.DeviceMajor << 32) | status.DeviceMinor, status.Inode) : throw LibcException.Last("stat", "a shared body");
    }

    public void Dispose() => File.Dispose();
}

/// <summary>Copies between open files.</summary>
internal static class FileCopy
{
    /// <summary>Copies a stretch to the same place of another file.</summary>
    /// <exception cref="IOException">The source ends before, or the disk is full.</exception>
    public static void Append(SafeFileHandle from, SafeFileHandle to, long start, long end)
    {
        var buffer = new byte[128 << 10];
        for (var at = start; at < end;)
        {
            var read = RandomAccess.Read(from, buffer.AsSpan(0, (int)Math.Min(buffer.Length, end - at)), at);
            if (read == 0)
                throw new IOException("the body ended before its length");
            DiskFailure.Write(to, buffer.AsSpan(0, read), at);
            at += read;
        }
    }
}
