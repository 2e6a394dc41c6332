using System.IO.Enumeration;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using Discobot.Infrastructure.Native;
using Microsoft.Win32.SafeHandles;

namespace Discobot.Features.Cache.Records;

/// <summary>
/// The files: <c>&lt;dir&gt;/&lt;hash&gt;</c> a body, <c>&lt;hash&gt;.meta</c> its metadata, <c>tmp/</c> what is being written, <c>upload/</c> what waits for
/// <see cref="UploadSpool"/>, <c>.index</c> the
/// snapshot of the index, <c>.credentials</c> a key, <c>.lock</c> and <c>.owner</c> whose it is. Everything else in the directory belongs to
/// somebody else and is left alone.
/// </summary>
[System.Diagnostics.CodeAnalysis.SuppressMessage("Design", "CA1001", Justification = "Release lets go of the lock; where nobody calls it, the end of the process does.")]
internal sealed partial class CacheDirectory(string path)
{
    private const string MetaSuffix = ".meta";
    private DirectoryLock? _lock;
    private long _temporaries;

    public string Path { get; } = System.IO.Path.GetFullPath(path);

    public string SnapshotPath => System.IO.Path.Join(Path, ".index");

    private string CredentialKeyPath => System.IO.Path.Join(Path, ".credentials");

    private string TemporaryPath => System.IO.Path.Join(Path, "tmp");

    public string BodyPath(in Hash256 key) => System.IO.Path.Join(Path, key.ToString());

    public string MetaPath(in Hash256 key) => BodyPath(key) + MetaSuffix;

    /// <summary>Whether it was prepared and not released: only then may anything be written.</summary>
    public bool IsOurs => _lock is not null;

    /// <summary>Makes the directory if need be, takes it for this process and removes what an earlier run left half written.</summary>
    /// <exception cref="IOException">It cannot be used, or another process uses it; the message says which.</exception>
    public void Prepare()
    {
        const UnixFileMode ownerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;
        Directory.CreateDirectory(Path);
        // Before anything is removed: what looks half written may be what the other one is writing.
        _lock ??= DirectoryLock.Take(Path);
        Directory.CreateDirectory(TemporaryPath, ownerOnly);
        foreach (var leftover in Directory.EnumerateFiles(TemporaryPath, "*.part"))
            File.Delete(leftover);
    }

    /// <summary>Leaves it to the next process.</summary>
    public void Release()
    {
        _lock?.Dispose();
        _lock = null;
    }

    /// <summary>Makes a file to write a body to, readable by the owner alone: private images pass through here.</summary>
    /// <exception cref="IOException">The disk is full or failing.</exception>
    public (string Path, SafeFileHandle File) CreateTemporary()
    {
        if (!IsOurs)
            throw new IOException($"{Path} is not this process's to write");
        var path = System.IO.Path.Join(TemporaryPath, $"{Environment.ProcessId}-{Interlocked.Increment(ref _temporaries)}.part");
        var file = File.OpenHandle(path, FileMode.Create, FileAccess.ReadWrite, FileShare.ReadWrite | FileShare.Delete);
        try
        {
            File.SetUnixFileMode(file, UnixFileMode.UserRead | UnixFileMode.UserWrite);
            return (path, file);
        }
        catch
        {
            file.Dispose();
            File.Delete(path);
            throw;
        }
    }

    /// <summary>The key of <see cref="CredentialDigest"/>, made where there is none. Where it cannot be kept, what is kept under it is this run's alone.</summary>
    public byte[] CredentialKey()
    {
        const int Size = 32;
        var key = RandomNumberGenerator.GetBytes(Size);
        try
        {
            if (File.Exists(CredentialKeyPath) && RegularFile.IsOrMissing(CredentialKeyPath) && File.ReadAllBytes(CredentialKeyPath) is { Length: Size } kept)
                return kept;
            var (path, file) = CreateTemporary();
            using (file)
            {
                DiskFailure.Write(file, key, 0);
                RandomAccess.FlushToDisk(file);
            }

            File.Move(path, CredentialKeyPath, overwrite: true);
        }
        catch (Exception e) when (DiskFailure.Is(e))
        {
            // A directory that is another's, or a full disk.
        }

        return key;
    }

    /// <summary>Deletes what is being written, if it still has this name. What cannot be deleted is swept at the next start.</summary>
    public static void DeleteTemporary(string path)
    {
        try
        {
            File.Delete(path);
        }
        catch (Exception e) when (DiskFailure.Is(e))
        {
        }
    }

    /// <summary>Writes metadata to a temporary file and onto the disk itself.</summary>
    public string WriteMetadata(EntryMetadata metadata)
    {
        var (path, file) = CreateTemporary();
        try
        {
            using (file)
            {
                DiskFailure.Write(file, metadata.ToJson(), 0);
                RandomAccess.FlushToDisk(file);
            }

            return path;
        }
        catch
        {
            File.Delete(path);
            throw;
        }
    }

    /// <summary>Puts a complete body in its place, then its metadata: whoever sees the metadata finds the body (crash safety).</summary>
    public void Place(string body, string metadata, in Hash256 key)
    {
        File.Move(body, BodyPath(key), overwrite: true);
        PlaceMetadata(metadata, key);
    }

    public void PlaceMetadata(string metadata, in Hash256 key) => File.Move(metadata, MetaPath(key), overwrite: true);

    /// <summary>Puts a body in place of one with the same bytes.</summary>
    public void PlaceBody(string body, in Hash256 key)
    {
        File.Move(body, BodyPath(key), overwrite: true);
        // Where both were names of one file already, a rename leaves both (rename(2)).
        File.Delete(body);
    }

    /// <summary>Gives a body a second, temporary name.</summary>
    /// <param name="key">Whose body it is.</param>
    /// <param name="path">The name.</param>
    /// <param name="knowsNone">Whether the file system knows no second names.</param>
    /// <returns>False also when there is no such body, or a file can have no more names.</returns>
    public bool TryLink(in Hash256 key, out string path, out bool knowsNone)
    {
        // errno(3)
        const int EPERM = 1, ENOSYS = 38, EOPNOTSUPP = 95;
        path = System.IO.Path.Join(TemporaryPath, $"{Environment.ProcessId}-{Interlocked.Increment(ref _temporaries)}.part");
        var isLinked = Link(BodyPath(key), path) == 0;
        knowsNone = !isLinked && Marshal.GetLastPInvokeError() is EPERM or ENOSYS or EOPNOTSUPP;
        return isLinked;
    }

    /// <summary>Deletes an entry's files, metadata first: a body alone is swept at the next start.</summary>
    public void Delete(in Hash256 key)
    {
        File.Delete(MetaPath(key));
        File.Delete(BodyPath(key));
    }

    /// <summary>Opens a body for reading; null when it is not there.</summary>
    public SafeFileHandle? OpenBody(in Hash256 key) => Open(BodyPath(key));

    /// <returns>Null when there is none or it cannot be understood.</returns>
    public EntryMetadata? ReadMetadata(in Hash256 key)
    {
        using var file = Open(MetaPath(key));
        return file is null ? null : Read(file, headers: true);
    }

    /// <summary>The same, as the index knows it.</summary>
    public CacheEntry? ReadEntry(in Hash256 key)
    {
        using var file = Open(MetaPath(key));
        return file is not null && Read(file, headers: false)?.ToEntry(RandomAccess.GetLength(file)) is { } entry && entry.Key == key ? entry : null;
    }

    private static EntryMetadata? Read(SafeFileHandle file, bool headers)
    {
        Span<byte> small = stackalloc byte[2048];
        var read = RandomAccess.Read(file, small, 0);
        if (read < small.Length)
            return EntryMetadata.Parse(small[..read], headers);
        var all = new byte[Math.Min(RandomAccess.GetLength(file), 1 << 20)];
        return EntryMetadata.Parse(all.AsSpan(0, RandomAccess.Read(file, all, 0)), headers);
    }

    /// <summary>Lists the entries' files as they are found: bodies and metadata, each for itself.</summary>
    public IEnumerable<(Hash256 Key, EntryFiles Files)> List() =>
        new FileSystemEnumerable<(Hash256 Key, EntryFiles Files)>(Path, Recognise, new() { AttributesToSkip = 0 }).Where(file => file.Files != EntryFiles.None);

    private static (Hash256, EntryFiles) Recognise(ref FileSystemEntry file)
    {
        var name = file.FileName;
        var files = EntryFiles.Body;
        if (name.EndsWith(MetaSuffix))
        {
            name = name[..^MetaSuffix.Length];
            files = EntryFiles.Metadata;
        }

        return Hash256.TryParse(name, out var key) ? (key, files) : default;
    }

    [LibraryImport("libc", EntryPoint = "link", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Link(string existing, string added);

    // FileShare.ReadWrite keeps .NET from taking an advisory lock: one system call less, and a rename over the file stays possible.
    private static SafeFileHandle? Open(string path)
    {
        try
        {
            return File.OpenHandle(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            return null;
        }
    }
}

[Flags]
internal enum EntryFiles : byte
{
    None = 0,
    Body = 1,
    Metadata = 2,
    Both = Body | Metadata,
}
