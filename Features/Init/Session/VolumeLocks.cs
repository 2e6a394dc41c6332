using System.Globalization;
using Discobot.Infrastructure.Native;

namespace Discobot.Features.Init.Session;

/// <summary>
/// Who may do what on the volume, when several containers have it: one at a time prepares it, and one at a time lives in a session, since
/// an overlay that is mounted twice is undefined (overlayfs.rst, "Sharing and copying layers").
/// </summary>
/// <param name="container">Whose volume it is.</param>
/// <param name="time">Its monotonic clock tells how long was waited.</param>
internal sealed class VolumeLocks(Container container, TimeProvider? time = null)
{
    private const string Directory = ".locks";
    private static readonly TimeSpan Poll = TimeSpan.FromMilliseconds(100);

    // As long as a clone may take, and a little more.
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(35);
    private readonly TimeProvider _time = time ?? TimeProvider.System;

    /// <summary>Waits until nobody else prepares the volume.</summary>
    /// <returns>To be disposed when what is being prepared is whole; null where the file system knows no locks.</returns>
    /// <exception cref="StartupException">Somebody else took longer than a clone may take.</exception>
    public async Task<IDisposable?> ForSetupAsync(CancellationToken cancellationToken)
    {
        var isTold = false;
        for (var begun = _time.GetTimestamp(); _time.GetElapsedTime(begun) < Limit;)
        {
            var holder = Self();
            if (!TryTake("volume", ref holder, out var taken))
                return null;
            if (taken is not null)
                return taken;
            if (!isTold)
                container.Log.Info($"waiting for {holder}, which prepares this volume as well");
            isTold = true;
            await Task.Delay(Poll, _time, cancellationToken);
        }

        throw new StartupException($"another container has been preparing {container.Paths.Data} for {Limit.TotalMinutes} minutes");
    }

    /// <summary>Takes the session until the end of this process.</summary>
    /// <exception cref="StartupException">Another container has it.</exception>
    public void TakeSession()
    {
        var id = container.Session.SessionId;
        if (TakeForLife($"session-{id}") is { } holder)
            throw new StartupException($"session {id} is in use by {holder}: stop that container, or give this one a SESSION_ID of its own");
    }

    /// <summary>Takes something of the volume until the end of this process.</summary>
    /// <returns>Who has it already; null when it is ours now.</returns>
    public string? TakeForLife(string name)
    {
        var holder = Self();
        if (!TryTake(name, ref holder, out var taken))
            return null;
        taken?.KeepForLife();
        return taken is null ? holder : null;
    }

    private static string Self()
        => $"container {Environment.MachineName} (started {DateTimeOffset.UtcNow.ToString("yyyy-MM-dd HH:mm:ss'Z'", CultureInfo.InvariantCulture)})";

    // False where there can be no lock, which is no reason not to start: a full volume, a file system without locks.
    private bool TryTake(string name, ref string holder, out FileLock? taken)
    {
        taken = null;
        try
        {
            using var data = DirectoryHandle.OpenTrusted(container.Paths.Data);
            var self = new Owner(Libc.GetUser(), Libc.GetUserGroup());
            using var locks = data.TryOpenDirectory(Directory) ?? MakeDirectory(data, self);
            if (locks.Status().Owner != self)
            {
                // Whoever could write there could take a lock away.
                locks.SetOwner(self);
                locks.SetPermissions(0x1C0);
            }

            taken = FileLock.TryTake(locks, name, ref holder);
            if (taken is null && holder.Length == 0)
                holder = "another container";
            return true;
        }
        catch (IOException error)
        {
            container.Log.Warning($"two containers with this volume would not know of each other: {error.Message}");
            return false;
        }
    }

    private DirectoryHandle MakeDirectory(DirectoryHandle data, Owner self)
    {
        using var turn = FileLock.TakeTurn(data);
        if (data.Status(Directory) is { Kind: not FileKind.Directory } found)
        {
            container.Log.Warning($"{data}/{Directory} was a {found.Kind}, not a directory: removed");
            data.Remove(Directory);
        }

        return data.OpenOrCreate(Directory, 0x1C0, self);
    }
}
