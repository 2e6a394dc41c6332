using Discobot.Infrastructure.Native;

namespace Discobot.Features.Init;

/// <summary>
/// Keeps a copy of the image's home on the volume, to which later images add what it lacks. It is the lower layer of the session's
/// home, so only root may enter it: changing a layer below a mounted overlay is undefined (overlayfs.rst).
/// </summary>
internal sealed class BaseHome(Container container)
{
    public const string Name = "discobot";
    private const string Staging = "discobot.staging";

    public Task RunAsync(CancellationToken cancellationToken)
    {
        var home = container.Paths.Home;
        Directory.CreateDirectory(home);
        if (Mounts.TypeAt(home) is { } mounted)
            throw new StartupException($"{home} is a mount ({mounted}): the image's home cannot be read, and the session's would hide it");
        using var image = DirectoryHandle.OpenTrusted(home);
        using var data = DirectoryHandle.OpenTrusted(container.Paths.Data);
        using var existing = data.OpenChild(Name);
        if (existing is not null)
            Copy(image, existing, cancellationToken);
        else
            MakeWhole(image, data, cancellationToken);
        return Task.CompletedTask;
    }

    // Under another name until it is complete: an interrupted copy must not count as one.
    private void MakeWhole(DirectoryHandle image, DirectoryHandle data, CancellationToken cancellationToken)
    {
        data.RemoveTree(Staging, cancellationToken);
        using (var staging = data.CreateChild(Staging, 0x1C0, Self))
            Copy(image, staging, cancellationToken);
        data.Rename(Staging, data, Name);
    }

    private void Copy(DirectoryHandle image, DirectoryHandle target, CancellationToken cancellationToken)
    {
        var copy = new TreeCopy(container.Agent.Owner);
        copy.Run(image, target, cancellationToken);
        target.SetOwner(Self);
        target.SetPermissions(0x1C0);
        container.Log.Debug($"{copy.Copied} entries copied from {image} to {target}, {copy.Skipped} left out (FIFOs, sockets, devices)");
    }

    private static Owner Self => new(Libc.GetUser(), Libc.GetUserGroup());
}
