using Discobot.Infrastructure.Native;

namespace Discobot.Features.Init.Session;

/// <summary>
/// Files without content on the volume, root's, which keep inodes for the next start: OverlayFS makes files of its own when it is mounted, and
/// an agent that has used up all others could not be started again, not even to make room.
/// </summary>
/// <param name="data">The volume.</param>
/// <param name="log">Told of what cannot be kept.</param>
internal sealed class SpareInodes(DirectoryHandle data, InitLog log)
{
    private const string Name = ".spare";

    // OverlayFS makes a directory and three files to try what the file system can.
    private const int Count = 16;

    /// <summary>Gives them to whoever makes files now.</summary>
    /// <returns>Whether there was one.</returns>
    public bool Release()
    {
        using var spare = data.TryOpenDirectory(Name);
        var kept = spare?.Entries() ?? [];
        kept.ForEach(name => spare!.Remove(name));
        return kept.Count > 0;
    }

    /// <summary>Keeps as many as there are to be, or can be had.</summary>
    public void Keep()
    {
        try
        {
            var self = new Owner(Libc.GetUser(), Libc.GetUserGroup());
            using var spare = data.OpenOrCreate(Name, 0x1C0, self);
            var kept = spare.Entries().Count;
            for (var number = 0; kept < Count && number < Count; number++)
            {
                if (spare.Status($"{number}") is not null)
                    continue;
                spare.CreateFile($"{number}", 0x180, self).Dispose();
                kept++;
            }
        }
        catch (IOException error)
        {
            log.Debug($"no inodes are kept for the next start: {error.Message}");
        }
    }
}
