using System.Security.Cryptography;
using Discobot.Infrastructure.Native;
using Microsoft.Win32.SafeHandles;

namespace Discobot.Features.Cache.Shared;

/// <summary>
/// The directory that several containers share (<c>cache.shared</c>): <c>sha256/ab/HEX</c> a body, <c>incoming/</c> what is being written, each under
/// a name that nobody else has, <c>leases/</c> who downloads what, <c>aside/</c> what was no body, <c>evict.lock</c> who evicts. Everything here may have
/// been put there by a member that nobody trusts: names are followed through no link, only regular files are opened, and no byte is believed.
/// All of it blocks for the disk: <see cref="VolumeAccess"/> limits that.
/// </summary>
internal sealed class SharedVolume(string path)
{
    public const string Bodies = "sha256";
    public const string Incoming = "incoming";
    public const string Leases = "leases";
    public const string Aside = "aside";
    public const string EvictionLock = "evict.lock";

    // Who reads a body says so at most once an hour: a file system's journal is written for it.
    private static readonly TimeSpan UseInterval = TimeSpan.FromHours(1);

    // A disk that fails.
    private const int InputOutput = 5;

    private ulong? _device;

    public string Path { get; } = path;

    public static string FolderOf(Hash256 digest) => $"{Bodies}/{digest.ToString()[..2]}";

    /// <summary>Opens the directory anew: what is mounted there may have changed.</summary>
    /// <exception cref="VolumeAwayException">It is not there.</exception>
    public DirectoryHandle Open()
    {
        DirectoryHandle root;
        try
        {
            root = DirectoryHandle.OpenTrusted(Path);
        }
        catch (LibcException e)
        {
            throw new VolumeAwayException(e.Message, e);
        }

        try
        {
            // An empty directory where a volume was mounted would be filled in its place.
            var device = root.Status().Device;
            if (_device is { } known && known != device && root.Status(Bodies) is null)
                throw new VolumeAwayException($"{Path} is empty, and on another file system than before: it is no longer mounted");
            _device = device;
            return root;
        }
        catch
        {
            root.Dispose();
            throw;
        }
    }

    /// <summary>Opens a directory below, with the rights of the whole where it has to be made: who may use it is the operator's to say.</summary>
    public DirectoryHandle Open(string relative)
    {
        var current = Open();
        var permissions = current.Status().Permissions;
        foreach (var part in relative.Split('/'))
        {
            using var parent = current;
            current = parent.OpenOrMake(part, permissions);
        }

        return current;
    }

    /// <summary>Opens a body, if something of its name is there: what, only its digest tells.</summary>
    public SafeFileHandle? OpenBody(Hash256 digest)
    {
        using var root = Open();
        using var folder = root.TryOpen(FolderOf(digest));
        if (folder is null || OpenRegular(folder, digest.ToString()) is not { } file)
            return null;
        var (_, accessed) = folder.UseOf(file);
        var isRecent = DateTimeOffset.UtcNow - accessed is var age && age >= TimeSpan.Zero && age < UseInterval;
        if (!isRecent)
            _ = TryUse(file);
        return file;
    }

    /// <summary>Opens what is being written.</summary>
    public SafeFileHandle? OpenIncoming(string name)
    {
        using var root = Open();
        using var folder = root.TryOpen(Incoming);
        return folder is null ? null : OpenRegular(folder, name);
    }

    /// <summary>Makes a file to write a body to, under a name that nobody else has.</summary>
    public (string Name, SafeFileHandle File) CreateIncoming()
    {
        using var folder = Open(Incoming);
        var name = Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(16));
        return (name, folder.CreateNew(name, RightsOfFile(folder.Status().Permissions)));
    }

    /// <summary>Gives a complete body its name, in place of whatever had it.</summary>
    public void Place(string incoming, Hash256 digest)
    {
        using var from = Open(Incoming);
        using var folder = Open(FolderOf(digest));
        // A directory would stand in its way.
        if (folder.Status(digest.ToString()) is { Kind: FileKind.Directory })
            MoveAside(folder, digest);
        from.Rename(incoming, folder, digest.ToString());
    }

    public void DeleteIncoming(string name, SafeFileHandle? only = null)
    {
        using var root = Open();
        using var folder = root.TryOpen(Incoming);
        if (folder is not null && (only is null || folder.IsNameOf(name, only)))
            folder.Remove(name);
    }

    /// <summary>Takes a file's name away that is not the body it is named for; unless another file has it meanwhile.</summary>
    public void SetAside(Hash256 digest, SafeFileHandle wrong)
    {
        using var folder = Open(FolderOf(digest));
        if (folder.IsNameOf(digest.ToString(), wrong))
            MoveAside(folder, digest);
    }

    /// <summary>Whether a file is there that may be the body.</summary>
    /// <param name="digest">Of the body.</param>
    /// <param name="length">Of it; null where it is not known.</param>
    public bool Has(Hash256 digest, long? length = null)
    {
        using var root = Open();
        using var folder = root.TryOpen(FolderOf(digest));
        return folder?.Status(digest.ToString()) is { Kind: FileKind.Regular } status && (length ?? status.Size) == status.Size;
    }

    private void MoveAside(DirectoryHandle folder, Hash256 digest)
    {
        using var aside = Open(Aside);
        folder.Rename(digest.ToString(), aside, $"{digest}-{Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(8))}");
    }

    /// <summary>Whether an error is the directory's word that it takes nothing, and not that of what somebody put in one place of it.</summary>
    public bool Refuses(Exception error) => ((error as LibcException)?.Number ?? (error is UnauthorizedAccessException ? LibcException.AccessDenied : error.HResult)) switch
    {
        LibcException.ReadOnly or LibcException.NoSpace or LibcException.OverQuota or InputOutput => true,
        LibcException.NotPermitted or LibcException.AccessDenied => !MayWrite(),
        _ => false,
    };

    /// <summary>Says that a file of it is used, by the clock of the directory: by its owner, or by whoever may write to it.</summary>
    /// <returns>False: neither is this process.</returns>
    public static bool TryUse(SafeFileHandle file) =>
        Libc.SetTimes(file, [0, Libc.Now, 0, Libc.Unchanged]) == 0 || Libc.SetTimes(file, [0, Libc.Now, 0, Libc.Now]) == 0;

    // Whatever is written begins there.
    private bool MayWrite()
    {
        try
        {
            using var root = Open();
            using var incoming = root.TryOpen(Incoming);
            return Libc.MayWriteInto((incoming ?? root).ProcPath);
        }
        catch (LibcException e)
        {
            return e.Number is not (LibcException.NotPermitted or LibcException.AccessDenied);
        }
        catch (VolumeAwayException)
        {
            return true;
        }
    }

    // Of a file whose directory has these rights. In one where nobody removes what is another's, nobody writes to it either.
    private static uint RightsOfFile(uint directory)
    {
        const uint Sticky = 0x200;
        return ((directory & Sticky) == 0 ? directory & 0x1B6 : directory & 0x1A4) | 0x180;
    }

    // Opening a device can do something, and a link leads anywhere: looked at before and, as somebody may have been quicker, after.
    private static SafeFileHandle? OpenRegular(DirectoryHandle folder, FileName name) =>
        folder.Status(name) switch
        {
            null => null,
            { Kind: FileKind.Regular } => folder.OpenRegular(name),
            _ => throw new IOException($"{folder}/{name} is not a regular file"),
        };
}

/// <summary>The directory is not there: unmounted, not to be entered, or its server is gone.</summary>
internal sealed class VolumeAwayException(string message, Exception? inner = null) : IOException(message, inner);
