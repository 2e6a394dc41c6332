using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Discobot.Features.Cache.Remote;

/// <summary>
/// The bodies that wait for their upload: second names of their files, <c>upload/HEX</c> in the cache's directory. They are there when the process was
/// killed, and when the body was evicted meanwhile; what is uploaded loses its name. Where the file system knows no second names nothing waits.
/// </summary>
internal sealed partial class UploadSpool(string cache, long limit)
{
    private const int MostBodies = 20_000;
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;

    private readonly string _directory = Path.Join(Path.GetFullPath(cache), "upload");
    private readonly Lock _lock = new();
    private readonly Dictionary<Hash256, long> _waiting = [];
    private long _bytes;

    public int Count { get { lock (_lock) return _waiting.Count; } }

    /// <summary>Of all that waits.</summary>
    public long Bytes { get { lock (_lock) return _bytes; } }

    /// <summary>What an earlier run left.</summary>
    public IReadOnlyList<Hash256> Load()
    {
        if (!Directory.Exists(_directory))
            return [];
        try
        {
            foreach (var file in new DirectoryInfo(_directory).EnumerateFiles())
            {
                if (Hash256.TryParse(file.Name, out var digest))
                    Enter(digest, file.Length);
            }
        }
        catch (Exception e) when (DiskFailure.Is(e))
        {
            // What was not read is found by the next run.
        }

        lock (_lock)
            return [.. _waiting.Keys];
    }

    /// <summary>Removes what waits: there is no store any more.</summary>
    public void Clear()
    {
        foreach (var digest in Load())
            Remove(digest);
        try
        {
            if (Directory.Exists(_directory))
                Directory.Delete(_directory);
        }
        catch (Exception e) when (DiskFailure.Is(e))
        {
            // Something else is in it.
        }
    }

    /// <summary>Keeps a body for its upload.</summary>
    /// <returns>False: too much waits already, or it cannot be kept.</returns>
    public bool TryAdd(Hash256 digest, string path, long length)
    {
        lock (_lock)
        {
            if (_waiting.ContainsKey(digest))
                return true;
            if (_bytes + length > limit || _waiting.Count >= MostBodies)
                return false;
        }

        try
        {
            Directory.CreateDirectory(_directory, OwnerOnly);
            // What is there already has the same digest, and the next reader looks whether it is right.
            if (Link(path, PathOf(digest)) != 0 && !File.Exists(PathOf(digest)))
                return false;
        }
        catch (Exception e) when (DiskFailure.Is(e))
        {
            return false;
        }

        Enter(digest, length);
        return true;
    }

    /// <returns>Null: it does not wait.</returns>
    /// <exception cref="IOException">It cannot be opened at the moment.</exception>
    public SafeFileHandle? Open(Hash256 digest)
    {
        try
        {
            return File.OpenHandle(PathOf(digest), FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            return null;
        }
    }

    /// <summary>It waits no more.</summary>
    public void Remove(Hash256 digest)
    {
        try
        {
            File.Delete(PathOf(digest));
        }
        catch (Exception e) when (DiskFailure.Is(e))
        {
            // It is found by the next run, which finds it uploaded.
        }

        lock (_lock)
        {
            if (_waiting.Remove(digest, out var length))
                _bytes -= length;
        }
    }

    private void Enter(Hash256 digest, long length)
    {
        lock (_lock)
        {
            if (_waiting.TryAdd(digest, length))
                _bytes += length;
        }
    }

    private string PathOf(Hash256 digest) => Path.Join(_directory, digest.ToString());

    [LibraryImport("libc", EntryPoint = "link", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Link(string existing, string added);
}
