using Microsoft.Win32.SafeHandles;

namespace Discobot.Infrastructure.Native.Files;

/// <summary>A file or directory that is held open by its place alone (O_PATH), so that it is reached though something was mounted over it
/// or its name has become another.</summary>
internal sealed class MountPoint : IDisposable
{
    private readonly SafeFileHandle _handle;
    private readonly string _name;

    private MountPoint(SafeFileHandle handle, string name) => (_handle, _name) = (handle, name);

    public string ProcPath => $"/proc/self/fd/{_handle.DangerousGetHandle()}";

    /// <summary>Opens a path in which links are followed, but for the last name: only where its directories are root's alone.</summary>
    /// <returns>Null when there is no such path any more.</returns>
    public static MountPoint? TryOpen(string path)
    {
        var handle = Libc.OpenAt(Libc.CurrentDirectory, FileName.FromString(path).Bytes, Libc.PathOnly | Libc.NoFollow | Libc.CloseOnExec, 0);
        return handle.IsInvalid ? null : new MountPoint(handle, path);
    }

    /// <summary>Opens an entry of a directory.</summary>
    /// <exception cref="IOException">It is a link, or there is none.</exception>
    public static MountPoint Open(DirectoryHandle directory, FileName name)
    {
        var point = TryOpen($"{directory.ProcPath}/{name}") ?? throw new LibcException("open", $"{directory}/{name}", LibcException.NotFound);
        if (directory.Status(name) is not { Kind: FileKind.Symlink })
            return point;
        point.Dispose();
        throw new IOException($"{directory}/{name} is a link");
    }

    public bool IsDirectory => Directory.Exists(ProcPath);

    public override string ToString() => _name;

    public void Dispose() => _handle.Dispose();
}
