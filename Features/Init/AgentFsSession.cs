namespace Discobot.Features.Init;

/// <summary>A session in an AgentFS database, handled by the <c>agentfs</c> program of the image.</summary>
internal sealed class AgentFsSession(Container container)
{
    private string Database => Path.Combine(container.Paths.Data, ".agentfs", container.Session.SessionId + ".db");

    public bool HasDatabase => File.Exists(Database);

    public Task MountAsync(CancellationToken cancellationToken) => throw Missing();

    public Task MigrateAsync(CancellationToken cancellationToken) => throw Missing();

    private StartupException Missing() => new($"session {container.Session.SessionId} needs the program agentfs, which is not on PATH");
}
