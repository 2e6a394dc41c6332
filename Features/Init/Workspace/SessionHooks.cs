using Discobot.Infrastructure.Native;

namespace Discobot.Features.Init.Workspace;

/// <summary>
/// Runs the workspace's own start-up programs. They come after the proxy, so that what they download is filtered and cached, and as the
/// agent's user: a repository gets root only where the operator says so (<c>DISCOBOT_ROOT_HOOKS=allow</c>). None can fail the start.
/// </summary>
internal sealed class SessionHooks(Container container, ClientProxy proxy, EgressRules egress)
{
    private const int LargestFile = 1 << 20;
    private const int TimedOutCode = 124;
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(5);

    public async Task RunAsync(CancellationToken cancellationToken)
    {
        var hooks = Find(container.Paths, container.Log.Warning);
        foreach (var (hook, path) in hooks.Where(h => h.Hook.Blocking))
            await RunAsync(hook, path, cancellationToken);
        var rest = hooks.Where(h => !h.Hook.Blocking).ToList();
        if (rest.Count > 0)
            container.Running.InBackground("session hooks", stop => RunAllAsync(rest, stop), container.Log);
    }

    private async Task RunAllAsync(List<(SessionHook Hook, string Path)> hooks, CancellationToken cancellationToken)
    {
        foreach (var (hook, path) in hooks)
            await RunAsync(hook, path, cancellationToken);
    }

    private static List<(SessionHook Hook, string Path)> Find(ContainerPaths paths, Action<string> tell)
    {
        const uint Executable = 0x49;
        var found = new List<(SessionHook, string)>();
        using var home = DirectoryHandle.OpenTrusted(paths.Home);
        using var directory = home.TryOpen("workspace/.discobot/hooks");
        foreach (var name in directory?.Entries().Select(n => n.ToString()).Order(StringComparer.Ordinal) ?? Enumerable.Empty<string>())
        {
            try
            {
                if (directory!.Status(name) is { Kind: FileKind.Regular } status && (status.Permissions & Executable) != 0
                    && SessionHook.Parse(name, directory.ReadBytes(name, LargestFile)) is { Type: "session" } hook)
                    found.Add((hook, Path.Combine(paths.Workspace, ".discobot", "hooks", name)));
            }
            catch (IOException error)
            {
                tell($"hook {name} not used: {error.Message}");
            }
        }

        return found;
    }

    private static bool MayRun(SessionHook hook, IReadOnlyDictionary<string, string> environment)
        => !hook.AsRoot || environment.GetValueOrDefault("DISCOBOT_ROOT_HOOKS") == "allow";

    private async Task RunAsync(SessionHook hook, string path, CancellationToken cancellationToken)
    {
        if (!MayRun(hook, container.Environment))
        {
            container.Log.Warning($"hook {hook.Name} asks for root and is not run: set DISCOBOT_ROOT_HOOKS=allow for workspaces you trust");
            return;
        }

        try
        {
            using var record = new HookRecord(container, hook);
            record.Begin();
            var launch = new Launch(hook.Name, [path])
            {
                User = hook.AsRoot ? null : container.Agent.Name,
                FileMask = hook.AsRoot ? null : container.FileMask,
                DropsCapabilities = egress.Confines,
                LimitsSockets = egress.Confines,
                EndsWithUs = egress.Confines ? Signal.Kill : Signal.Terminate,
                NoNewPrivileges = egress.NoNewPrivileges,
                WorkingDirectory = container.Paths.Workspace,
                Environment = HookEnvironment(hook),
                LeavesBackground = true,
            };
            var result = await container.Tools.RunAsync(launch, Limit, line =>
            {
                container.Log.Info($"  [{hook.Name}] {line}");
                record.Write(line);
            }, cancellationToken);
            var code = result.TimedOut ? TimedOutCode : result.ExitCode;
            record.Finish(code);
            container.Log.Info($"hook {hook.Name} ended with exit code {code}" + (result.TimedOut ? " (ended after 5 minutes)" : result.LeftBackground ? "; what it left in the background goes on" : ""));
        }
        catch (Exception error) when (error is IOException or System.ComponentModel.Win32Exception)
        {
            container.Log.Warning($"hook {hook.Name} failed: {error.Message}");
        }
    }

    private Dictionary<string, string> HookEnvironment(SessionHook hook)
    {
        var environment = hook.AsRoot ? proxy.RootEnvironment() : proxy.AgentEnvironment();
        environment["DISCOBOT_HOOK_TYPE"] = hook.Type;
        environment["DISCOBOT_SESSION_ID"] = container.Session.SessionId;
        environment["DISCOBOT_WORKSPACE"] = container.Paths.Workspace;
        environment["HOME"] = hook.AsRoot ? "/root" : container.Agent.Home;
        environment["USER"] = environment["LOGNAME"] = hook.AsRoot ? "root" : container.Agent.Name;
        return environment;
    }

    /// <summary>How each of them ended, as far as it is known: the record is the agent's.</summary>
    public static IEnumerable<Finding> Check(SeenContainer seen)
    {
        var session = seen.Environment.GetValueOrDefault("SESSION_ID", "");
        try
        {
            var unread = new List<Finding>();
            var hooks = Find(seen.Paths, reason => unread.Add(SeenContainer.Step("session hooks", false, reason, "correct it in the workspace's .discobot/hooks")));
            var codes = session.Length == 0 ? [] : HookRecord.ExitCodes(seen.Paths.Home, session);
            return [.. unread, .. hooks.Select(h => Check(h.Hook, codes, session, seen.Environment))];
        }
        catch (IOException error)
        {
            return [SeenContainer.Absent("session hooks", error.Message)];
        }
    }

    private static Finding Check(SessionHook hook, Dictionary<string, int> codes, string session, IReadOnlyDictionary<string, string> environment)
    {
        var name = $"hook {hook.Id}";
        if (!MayRun(hook, environment))
            return SeenContainer.Absent(name, "it asks for root and is not run: DISCOBOT_ROOT_HOOKS=allow lets it");
        return codes.TryGetValue(hook.Id, out var code)
            ? SeenContainer.Step(name, code == 0, $"its last exit code was {code}", $"read ~/.discobot/{session}/hooks/output/{hook.Id}.log")
            : SeenContainer.Absent(name, "it has not ended yet");
    }
}
