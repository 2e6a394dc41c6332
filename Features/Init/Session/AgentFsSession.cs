using Discobot.Infrastructure.Native;

namespace Discobot.Features.Init.Session;

/// <summary>
/// A session in an AgentFS database, handled by the <c>agentfs</c> program of the image. Such a session moves to OverlayFS once: into a
/// directory that counts only when it is complete, so that an interrupted move begins anew and newer work is never written over. The
/// database stays as it is.
/// </summary>
internal sealed class AgentFsSession(Container container)
{
    /// <summary>The file in a session's overlay directory that says its database was moved there.</summary>
    public const string Moved = ".migrated";

    private static readonly string[] Passed = ["PATH", "HOME", "USER", "LOGNAME", "LANG", "TZ", "TMPDIR"];
    private static readonly string[] PassedPrefixes = ["LC_", "AGENTFS_", "FUSE_", "RUST_"];

    private const string Directory = ".agentfs";
    private const string MountPoint = ".migration";
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan MountLimit = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan Poll = TimeSpan.FromMilliseconds(50);

    /// <summary>Whether the session has a database.</summary>
    public bool HasDatabase => File.Exists(Path.Combine(container.Paths.Data, Directory, container.Session.SessionId + ".db"));

    /// <summary>Mounts the session's database as its home, making one when there is none.</summary>
    public async Task MountAsync(CancellationToken cancellationToken)
    {
        using var data = DirectoryHandle.OpenTrusted(container.Paths.Data);
        using var databases = data.OpenOrCreate(Directory, 0x1ED, container.Agent.Owner);
        LetIn(data, true);
        if (!HasDatabase)
            await RunAsync(["init", "--base", Path.Combine(container.Paths.Data, BaseHome.Name), container.Session.SessionId], cancellationToken);
        await MountAtAsync(container.Paths.Home, cancellationToken);
    }

    /// <summary>Moves the session to OverlayFS.</summary>
    public async Task MigrateAsync(CancellationToken cancellationToken)
    {
        var id = container.Session.SessionId;
        container.Log.Info($"moving session {id} from AgentFS to OverlayFS");
        var source = Path.Combine(container.Paths.Data, MountPoint);
        using var data = DirectoryHandle.OpenTrusted(container.Paths.Data);
        data.OpenOrCreate(MountPoint, 0x1C0, container.Agent.Owner).Dispose();
        LetIn(data, true);
        await MountAtAsync(source, cancellationToken);
        try
        {
            Copy(data, source, id, cancellationToken);
        }
        finally
        {
            Mounts.Remove(source);
            LetIn(data, false);
        }

        container.Log.Info($"session {id} moved; its database is kept");
    }

    // The program runs as the agent and reads the base home. Below a mounted overlay that must stay closed.
    private static void LetIn(DirectoryHandle data, bool open)
    {
        using var home = data.OpenChild(BaseHome.Name)!;
        home.SetPermissions(open ? 0x1EDu : 0x1C0u);
    }

    private void Copy(DirectoryHandle data, string source, string id, CancellationToken cancellationToken)
    {
        var unfinished = id + ".moving";
        using var overlays = data.OpenOrCreate(SessionFilesystem.OverlayDirectory, 0x1C0, Owner.Root);
        overlays.RemoveTree(unfinished, cancellationToken);
        if (SessionFilesystem.MountOverlay(container, unfinished, container.Paths.Home, cancellationToken) is { } failure)
            throw new StartupException($"{failure} Nothing of the session was changed.");
        try
        {
            using var from = DirectoryHandle.OpenTrusted(source);
            using var to = DirectoryHandle.OpenTrusted(container.Paths.Home);
            new TreeMirror(new TreeCopy(null)).Run(from, to, cancellationToken);
        }
        finally
        {
            Mounts.Remove(container.Paths.Home);
        }

        // Before the rename: a directory that counts says where its content is from.
        using (var session = overlays.OpenChild(unfinished)!)
            session.WriteBytes(Moved, System.Text.Encoding.ASCII.GetBytes(DateTimeOffset.UtcNow.ToString("O") + "\n"), 0x1A4, Owner.Root);
        overlays.Rename(unfinished, overlays, id);
    }

    private async Task MountAtAsync(string target, CancellationToken cancellationToken)
    {
        // Not captured: what serves the mount stays in the background and keeps the output open.
        var child = await container.Spawner.StartAsync(Command(["mount", "-a", "--allow-root", container.Session.SessionId, target]));
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(MountLimit);
        try
        {
            while (Mounts.TypeAt(target) is null)
            {
                if (child.Exited is { IsCompletedSuccessfully: true, Result: not 0 and var code })
                    throw new StartupException($"agentfs mount failed with exit code {code}");
                await Task.Delay(Poll, limit.Token);
            }
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            throw new StartupException($"agentfs did not mount session {container.Session.SessionId} at {target} within {MountLimit.TotalSeconds} s");
        }
    }

    private async Task RunAsync(string[] arguments, CancellationToken cancellationToken)
    {
        var result = await container.Tools.RunAsync(Command(arguments), Limit, line => container.Log.Info($"  [agentfs] {line}"), cancellationToken);
        if (result.TimedOut)
            throw new StartupException($"agentfs {arguments[0]} did not end within {Limit.TotalSeconds} s");
        if (!result.Succeeded)
            throw new StartupException($"agentfs {arguments[0]} failed with exit code {result.ExitCode}");
    }

    private Launch Command(string[] arguments)
    {
        var program = container.FindProgram("agentfs") ?? throw new StartupException((HasDatabase
            ? $"session {container.Session.SessionId} is kept in AgentFS"
            : "DISCOBOT_FILESYSTEM=agentfs asks for AgentFS") + ", and the program agentfs is not on PATH: put it into the image");
        return new Launch("agentfs", [program, .. arguments])
        {
            User = container.Agent.Name,
            WorkingDirectory = container.Paths.Data,
            Environment = OwnEnvironment(),
        };
    }

    // It runs as long as the session, and the agent can read the environment of what runs as its user: no secret of others is in it.
    private Dictionary<string, string> OwnEnvironment()
    {
        return container.AgentEnvironment(new ProxySummary())
            .Where(v => Passed.Contains(v.Key) || PassedPrefixes.Any(prefix => v.Key.StartsWith(prefix, StringComparison.Ordinal)))
            .ToDictionary(v => v.Key, v => v.Value);
    }
}
