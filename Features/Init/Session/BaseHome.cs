using Discobot.Infrastructure.Native;

namespace Discobot.Features.Init.Session;

/// <summary>
/// Keeps a copy of the image's home on the volume, to which later images add what it lacks. It is the lower layer of the session's
/// home, so only root may enter it: changing a layer below a mounted overlay is undefined (overlayfs.rst).
/// </summary>
internal sealed class BaseHome(Container container)
{
    public const string Name = "discobot";
    private const string Staging = "discobot.staging";

    public async Task RunAsync(CancellationToken cancellationToken)
    {
        var home = container.Paths.Home;
        if (!Path.Exists(home))
            Directory.CreateDirectory(home);
        if (Mounts.TypeAt(home) is { } mounted)
            throw new StartupException($"{home} is a mount ({mounted}): the image's home cannot be read, and the session's would hide it");
        using var prepared = await new VolumeLocks(container).ForSetupAsync(cancellationToken);
        using var data = DirectoryHandle.OpenTrusted(container.Paths.Data);
        var owner = new AgentOwner(container);
        owner.Adopt(data, cancellationToken);
        using var existing = data.OpenChild(Name);
        if (existing is not null)
            Complete(existing, cancellationToken);
        else
            MakeWhole(data, cancellationToken);
        owner.Remember(data);
    }

    // Under another name until it is complete: an interrupted copy must not count as one.
    private void MakeWhole(DirectoryHandle data, CancellationToken cancellationToken)
    {
        data.RemoveTree(Staging, cancellationToken);
        using (var staging = data.CreateChild(Staging, 0x1C0, Self))
            Copy(staging, cancellationToken);
        data.Rename(Staging, data, Name);
    }

    // What a later image adds can wait for another start; the session's own work cannot.
    private void Complete(DirectoryHandle existing, CancellationToken cancellationToken)
    {
        try
        {
            Copy(existing, cancellationToken);
        }
        catch (IOException error)
        {
            container.Log.Warning($"not everything that this image adds to the home is there, the next start completes it: {error.Message}");
        }
    }

    // What is mounted below the home is the user's, and shown there; it is no part of the image.
    private void Copy(DirectoryHandle target, CancellationToken cancellationToken)
    {
        foreach (var home in new[] { AgentHome.Own(container), container.Paths.Home }.OfType<string>().Select(PlainHome.ImageOf).Where(Directory.Exists))
        {
            using var image = DirectoryHandle.OpenTrusted(home);
            var copy = new TreeCopy(container.Agent.Owner) { OneFileSystem = true, Capabilities = true };
            copy.Run(image, target, cancellationToken);
            container.Log.Debug($"{copy.Copied} entries copied from {image} to {target}, {copy.Skipped} left out (FIFOs, sockets, devices)");
        }

        target.SetOwner(Self);
        target.SetPermissions(0x1C0);
    }

    private static Owner Self => new(Libc.GetUser(), Libc.GetUserGroup());

    /// <summary>Whether it is there.</summary>
    public static Finding Check(SeenContainer seen) => SeenContainer.Step("base home", Directory.Exists(Path.Combine(seen.Paths.Data, Name)), Path.Combine(seen.Paths.Data, Name), Doctor.Restart);
}
