using System.Text;
using Discobot.Infrastructure.Native;

namespace Discobot.Features.Init;

/// <summary>Looks at what each step of the start has left behind, in the start's order.</summary>
internal sealed class DoctorSteps(ContainerPaths paths)
{
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
        Step("proxy config", File.Exists(paths.ProxyConfig), paths.ProxyConfig, Doctor.Restart),
        Step("CA certificate", File.Exists(paths.CaCertificate), paths.CaCertificate, Doctor.Restart),
        Step("proxy binary", File.Exists(paths.ProxyBinary), paths.ProxyBinary, "ln -s discobot /opt/discobot/bin/proxy in the image"),
        Step("login shells", Holds("/etc/profile.d/discobot-proxy.sh", "HTTP_PROXY") || Holds("/etc/profile", "HTTP_PROXY"),
            "/etc/profile.d/discobot-proxy.sh", "the proxy was not up at the start: " + Doctor.Restart),
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

    private Finding Caches()
    {
        if (Mounts.TypeAt(paths.SharedCache) is null)
            return new Finding("step", "cache mounts", null, $"no volume at {paths.SharedCache}", null);
        var first = Path.Combine(paths.Home, CacheMounts.First);
        return Step("cache mounts", Mounts.TypeAt(first) is not null, first, "unless CACHE_ENABLED is false: " + Doctor.Restart);
    }
}
