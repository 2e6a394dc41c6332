using Discobot.Infrastructure.Native;

namespace Discobot.Features.Init.Docker;

/// <summary>
/// Where dockerd has its settings: <c>/etc/docker</c>. Before its version 25 it makes a key there when it starts, and ends when it cannot, as in a
/// directory that is mounted read-only (a ConfigMap) or of a read-only root. Then a copy in memory is shown in its place.
/// </summary>
internal sealed class ConfigDirectory(Container container)
{
    private const string Seen = "/etc/docker";
    private const string Copy = "etc-docker";

    public void MakeWritable(CancellationToken cancellationToken)
    {
        var path = container.Paths.In(Seen);
        if (!Directory.Exists(path) || Libc.MayWriteInto(path))
            return;
        try
        {
            using var run = DirectoryHandle.OpenTrusted(Directory.CreateDirectory(container.Paths.Run).FullName);
            run.RemoveTree(Copy, cancellationToken);
            using var original = DirectoryHandle.OpenTrusted(path);
            var status = original.Status();
            using var copy = run.CreateChild(Copy, status.Permissions, status.Owner);
            new TreeCopy(null).Run(original, copy, cancellationToken);
            Mounts.BindTo(copy, original);
            container.Log.Info($"{path} cannot be written to: Docker has a copy of it");
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            container.Log.Warning($"{path} cannot be written to, as a Docker daemon before version 25 does: {error.Message}");
        }
    }
}
