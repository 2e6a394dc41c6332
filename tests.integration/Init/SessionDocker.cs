using System.Text;
using Discobot.Integration.Fixtures;

namespace Discobot.Integration.Init;

/// <summary>A Docker engine that knows no way out but the session's proxy.</summary>
internal sealed class SessionDocker : IAsyncDisposable
{
    private readonly SessionContainer _session;
    private readonly DockerEngine? _beside;

    private SessionDocker(SessionContainer session, DockerEngine? beside) => (_session, _beside) = (session, beside);

    /// <summary>Whether the session's own init started it.</summary>
    public bool IsOfTheImage => _beside is null;

    public static async Task<SessionDocker> OfAsync(SessionContainer session)
    {
        if ((await session.TryAsync("sh", "-c", "command -v dockerd")).Code == 0)
            return new SessionDocker(session, null);
        var authority = Encoding.ASCII.GetBytes(await session.ReadAsync("/.data/proxy/certs/ca.crt"));
        return new SessionDocker(session, await DockerEngine.StartBesideAsync(session.Id, authority));
    }

    public Task<string> RunAsync(params string[] command) => _beside is null ? _session.ExecAsync(command) : _beside.RunAsync(command);

    public ValueTask DisposeAsync() => _beside?.DisposeAsync() ?? ValueTask.CompletedTask;
}
