using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Discobot.Infrastructure.Native;

namespace Discobot.Features.Init;

/// <summary>Looks at what each step of the start has left behind, in the start's order.</summary>
/// <param name="paths">Where things are.</param>
/// <param name="environment">The container's.</param>
/// <param name="refused">Why the workspace's configuration, or the operator's, is not used.</param>
internal sealed class DoctorSteps(ContainerPaths paths, IReadOnlyDictionary<string, string> environment, Func<IReadOnlyList<string>> refused)
{
    private const int LargestFile = 1 << 20;

    public IEnumerable<Finding> Look() =>
    [
        Step("localhost name", LocalhostIsIPv4(), paths.In("/etc/hosts"), "let 127.0.0.1 alone be localhost there"),
        Step("git safe directories", Holds("/etc/gitconfig", ContainerPaths.WorkspaceSeen), paths.In("/etc/gitconfig"), Doctor.Restart),
        Step("data directories", BelongsToRoot(paths.Data), $"{paths.Data} belongs to root", Doctor.Restart),
        Step("base home", Directory.Exists(paths.In("/.data/discobot")), paths.In("/.data/discobot"), Doctor.Restart),
        Step("workspace", Directory.Exists(paths.Workspace), paths.Workspace, "check WORKSPACE_PATH"),
        Step("filesystem", Home is not null, $"{paths.Home}: {Home ?? "not mounted"}", "run the container with --privileged and a volume at /.data"),
        Caches(),
        Step("workspace link", new DirectoryInfo(paths.WorkspaceLink).LinkTarget is not null, $"{paths.WorkspaceLink} leads to the workspace",
            "empty /workspace in the image"),
        Configuration(),
        Step("CA certificate", File.Exists(paths.CaCertificate), paths.CaCertificate, Doctor.Restart),
        Step("proxy binary", File.Exists(paths.ProxyBinary), paths.ProxyBinary, "ln -s discobot /opt/discobot/bin/proxy in the image"),
        Step("login shells", Holds("/etc/profile.d/discobot-proxy.sh", "HTTP_PROXY") || Holds("/etc/profile", "HTTP_PROXY"),
            "/etc/profile.d/discobot-proxy.sh", "the proxy was not up at the start: " + Doctor.Restart),
        Group(),
        .. Hooks(),
    ];

    private string? Home => Mounts.TypeAt(paths.Home) ?? new FileInfo(paths.Home).LinkTarget;

    private static Finding Step(string name, bool works, string detail, string fix) => new("step", name, works, detail, works ? null : fix);

    private static bool BelongsToRoot(string directory)
        => Libc.StatusOf(directory) is { Owner.User: 0 } status && (status.Permissions & 0x12) == 0;

    private bool LocalhostIsIPv4()
    {
        var path = paths.In("/etc/hosts");
        var text = File.Exists(path) ? File.ReadAllText(path, Encoding.Latin1) : "";
        return LocalhostName.Rewrite(text) == text;
    }

    private bool Holds(string path, string text)
        => File.Exists(paths.In(path)) && File.ReadAllText(paths.In(path), Encoding.Latin1).Contains(text, StringComparison.Ordinal);

    private Finding Configuration()
    {
        var kept = Path.Combine(paths.Run, "config.yaml");
        var file = File.Exists(kept) ? kept : paths.ProxyConfig;
        var reasons = refused();
        return reasons.Count > 0
            ? Step("proxy config", false, $"not used: {string.Join("; ", reasons)}", "correct the workspace's .discobot/proxy/config.yaml or the operator's policy; " + Doctor.Restart)
            : Step("proxy config", File.Exists(file), file, Doctor.Restart);
    }

    // The agent talks to Docker as a member of that group.
    private Finding Group()
    {
        var users = new UserDatabase(paths.Etc);
        if (!File.Exists(paths.DockerSocket) || users.Find(environment.GetValueOrDefault("AGENT_USER") is { Length: > 0 } name ? name : "discobot") is not { } agent)
            return new Finding("step", "docker group", null, "no Docker socket here", null);
        var group = Libc.StatusOf(paths.DockerSocket)!.Value.Owner.Group;
        return Step("docker group", agent.Groups.Contains(group), $"{agent.Name} and the group {group} of {paths.DockerSocket}", "add the agent's user to that group in the image; " + Doctor.Restart);
    }

    // The record is the agent's: it is read without following links.
    private IEnumerable<Finding> Hooks()
    {
        var session = environment.GetValueOrDefault("SESSION_ID", "");
        JsonObject? hooks = null;
        try
        {
            using var home = DirectoryHandle.OpenTrusted(paths.Home);
            using var directory = session.Length == 0 ? null : home.TryOpen($".discobot/{session}/hooks");
            hooks = directory?.ReadBytes("status.json", LargestFile) is { } bytes && JsonNode.Parse(bytes) is JsonObject all ? all["hooks"] as JsonObject : null;
        }
        catch (Exception error) when (error is IOException or JsonException)
        {
            // Whatever the agent has made of it tells nothing.
        }

        foreach (var (id, entry) in hooks ?? [])
        {
            var code = entry is JsonObject e && e["lastExitCode"] is JsonValue value && value.TryGetValue<int>(out var number) ? number : 0;
            yield return Step($"hook {id}", code == 0, $"its last exit code was {code}", $"read ~/.discobot/{session}/hooks/output/{id}.log");
        }
    }

    private Finding Caches()
    {
        if (Mounts.TypeAt(paths.SharedCache) is null)
            return new Finding("step", "cache mounts", null, $"no volume at {paths.SharedCache}", null);
        var first = Path.Combine(paths.Home, CacheMounts.First);
        return Step("cache mounts", Mounts.TypeAt(first) is not null, first, "unless CACHE_ENABLED is false: " + Doctor.Restart);
    }
}
