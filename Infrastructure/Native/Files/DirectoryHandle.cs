using System.Runtime.InteropServices;
using System.Security.Cryptography;
using Microsoft.Win32.SafeHandles;

namespace Discobot.Infrastructure.Native.Files;

/// <summary>
/// An open directory. Everything below it is reached name by name without following a single symbolic link, so that root can
/// work in a tree that somebody else may rearrange at the same time.
/// </summary>
internal sealed partial class DirectoryHandle : IDisposable
{
    private readonly SafeFileHandle _handle;
    private readonly string _name;

    private DirectoryHandle(SafeFileHandle handle, string name) => (_handle, _name) = (handle, name);

    /// <summary>A path by which system calls that want one (mount) reach exactly this directory, whatever its name is now.</summary>
    public string ProcPath => $"/proc/self/fd/{_handle.DangerousGetHandle()}";

    /// <summary>Opens a path in which links are followed: only for directories whose parents belong to root alone.</summary>
    /// <exception cref="LibcException">It does not exist or is no directory.</exception>
    public static DirectoryHandle OpenTrusted(string path)
    {
        var handle = Libc.OpenAt(Libc.CurrentDirectory, FileName.FromString(path).Bytes,
            Libc.ReadOnly | Libc.DirectoryOnly | Libc.CloseOnExec, 0);
        return handle.IsInvalid ? throw LibcException.Last("open", path) : new DirectoryHandle(handle, path);
    }

    /// <summary>Opens a directory below this one.</summary>
    /// <param name="relative">Names separated by slashes; <c>..</c> is refused.</param>
    /// <returns>Null when a part of it does not exist.</returns>
    /// <exception cref="LibcException">A part is a symbolic link or no directory.</exception>
    public DirectoryHandle? TryOpen(string relative)
    {
        var current = this;
        foreach (var part in Parts(relative))
        {
            var next = current.OpenChild(part);
            if (current != this)
                current.Dispose();
            if (next is null)
                return null;
            current = next;
        }

        return current == this ? OpenChild(".") : current;
    }

    /// <summary>Opens a directory below this one, making what is missing of it.</summary>
    /// <param name="relative">Names separated by slashes; <c>..</c> is refused.</param>
    /// <param name="permissions">For the directories made here; the umask does not apply.</param>
    /// <param name="owner">For the directories made here.</param>
    public DirectoryHandle OpenOrCreate(string relative, uint permissions, Owner owner)
    {
        var current = this;
        foreach (var part in Parts(relative))
        {
            var next = current.OpenChild(part) ?? current.CreateChild(part, permissions, owner);
            if (current != this)
                current.Dispose();
            current = next;
        }

        return current;
    }

    /// <summary>Opens one directory by its name in this one; null when there is none.</summary>
    public DirectoryHandle? OpenChild(FileName name) => OpenChild(name, name);

    /// <summary>Opens one directory by its name in this one; null when there is none, or when it is something else.</summary>
    public DirectoryHandle? TryOpenDirectory(FileName name)
    {
        try
        {
            return OpenChild(name);
        }
        catch (LibcException error) when (error.Number is LibcException.NotDirectory or LibcException.TooManyLinks)
        {
            return null;
        }
    }

    /// <summary>Makes a directory that does not exist yet, with exactly these rights. It has them when its name appears: one that is
    /// interrupted leaves nothing that would be taken for a directory of somebody else's.</summary>
    public DirectoryHandle CreateChild(FileName name, uint permissions, Owner owner)
    {
        FileName unfinished = ".discobot-" + Convert.ToHexStringLower(SHA256.HashData(name.Bytes).AsSpan(0, 8));
        Remove(unfinished);
        if (Libc.MakeDirectoryAt(_handle, unfinished.Bytes, 0x1C0) != 0)
            throw LibcException.Last("mkdir", $"{_name}/{name}");
        var made = OpenChild(unfinished, name) ?? throw new LibcException("open", $"{_name}/{name}", LibcException.NotFound);
        made.SetOwner(owner);
        made.SetPermissions(permissions);
        Rename(unfinished, this, name);
        return made;
    }

    /// <summary>What this directory is now.</summary>
    public FileStatus Status() => Read(_handle, FileName.FromString(""), Libc.EmptyPath)!.Value;

    /// <summary>What an entry is; null when there is none.</summary>
    public FileStatus? Status(FileName name) => Read(_handle, name, Libc.SymlinkNoFollow);

    public void SetOwner(Owner owner) => SetOwner("", owner, Libc.EmptyPath);

    /// <summary>Gives an entry to somebody; of a symbolic link the link itself.</summary>
    public void SetOwner(FileName name, Owner owner) => SetOwner(name, owner, Libc.SymlinkNoFollow);

    public void SetPermissions(uint permissions)
    {
        if (Libc.Chmod(_handle, permissions) != 0)
            throw LibcException.Last("chmod", _name);
    }

    /// <summary>Whether this directory's file system keeps extended attributes of a kind, and this process may set them.</summary>
    public bool Keeps(string attribute) => ExtendedAttributes.AreKept(_handle, attribute);

    /// <summary>Gives another directory the extended attributes of this one.</summary>
    public void CopyAttributes(DirectoryHandle target, bool withCapabilities) => ExtendedAttributes.Copy(_handle, target._handle, withCapabilities);

    public void Dispose() => _handle.Dispose();

    public override string ToString() => _name;

    private DirectoryHandle? OpenChild(FileName name, FileName shown)
    {
        var handle = Libc.OpenAt(_handle, name.Bytes, Libc.ReadOnly | Libc.DirectoryOnly | Libc.NoFollow | Libc.CloseOnExec, 0);
        if (!handle.IsInvalid)
            return new DirectoryHandle(handle, $"{_name}/{shown}");
        var error = LibcException.Last("open", $"{_name}/{shown} without following links");
        return error.Number == LibcException.NotFound ? null : throw error;
    }

    private static string[] Parts(string relative)
    {
        var parts = relative.Split('/', StringSplitOptions.RemoveEmptyEntries);
        return parts.Contains("..") ? throw new ArgumentException($"'..' in {relative}", nameof(relative)) : parts;
    }

    private void SetOwner(FileName name, Owner owner, int flags)
    {
        if (Libc.ChownAt(_handle, name.Bytes, owner.User, owner.Group, flags) != 0)
            throw LibcException.Last("chown", $"{_name}/{name}");
    }

    private FileStatus? Read(SafeHandle handle, FileName name, int flags)
    {
        const uint BasicStatsAndMount = 0x7FF | 0x1000;
        if (Libc.StatX(handle, name.Bytes, flags, BasicStatsAndMount, out var buffer) == 0)
            return FileStatus.From(buffer);
        var error = LibcException.Last("stat", $"{_name}/{name}");
        return error.Number == LibcException.NotFound ? null : throw error;
    }
}
