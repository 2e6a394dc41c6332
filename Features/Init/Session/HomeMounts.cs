using Discobot.Infrastructure.Native;

namespace Discobot.Features.Init.Session;

/// <summary>
/// What the user has mounted below the home (keys, caches, a repository). The session's home is laid over it: it is held while it can be
/// reached, and shown again above.
/// </summary>
internal sealed class HomeMounts : IDisposable
{
    private readonly List<(string Path, MountPoint Point)> _held = [];
    private readonly InitLog _log;

    private HomeMounts(InitLog log) => _log = log;

    /// <summary>Holds what is mounted below a home now.</summary>
    public static HomeMounts Hold(string home, InitLog log)
    {
        var mounts = new HomeMounts(log);
        foreach (var path in Mounts.Below(home))
        {
            if (MountPoint.TryOpen(path) is { } point)
                mounts._held.Add((path[(home.Length + 1)..], point));
        }

        return mounts;
    }

    /// <summary>Shows it at the same places of the home as it is now, making those that are missing.</summary>
    /// <param name="home">The agent may rearrange it: no link is followed.</param>
    /// <param name="owner">Of what is made.</param>
    public void ShowAgain(DirectoryHandle home, Owner owner)
    {
        foreach (var (path, point) in _held)
        {
            try
            {
                Show(home, path, point, owner);
            }
            catch (IOException error)
            {
                _log.Warning($"what is mounted at {home}/{path} is not to be seen: {error.Message}");
            }
        }
    }

    public void Dispose() => _held.ForEach(held => held.Point.Dispose());

    private static void Show(DirectoryHandle home, string path, MountPoint point, Owner owner)
    {
        var name = Path.GetFileName(path);
        using var parent = Path.GetDirectoryName(path) is { Length: > 0 } above ? home.OpenOrCreate(above, 0x1ED, owner) : home.TryOpen("");
        if (parent!.Status(name) is null)
        {
            if (point.IsDirectory)
                parent.CreateChild(name, 0x1ED, owner).Dispose();
            else
                parent.CreateFile(name, 0x1A4, owner).Dispose();
        }

        using var target = MountPoint.Open(parent, name);
        Mounts.BindTreeTo(point, target);
    }
}
