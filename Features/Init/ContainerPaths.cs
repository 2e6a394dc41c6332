using Discobot.Infrastructure.Config;

namespace Discobot.Features.Init;

/// <summary>Where things are in the container. With another root everything moves below it: a test then touches nothing else.</summary>
/// <param name="Root">Absolute, without a slash at its end unless it is <c>/</c> itself.</param>
internal sealed record ContainerPaths(string Root = "/")
{
    /// <summary>As processes in the container see it, which is what environment variables hold.</summary>
    public const string CaCertificateSeen = "/.data/proxy/certs/ca.crt";

    public const string WorkspaceSeen = "/home/discobot/workspace";

    /// <summary>The system's bundle for Java. Not on the volume: it belongs to the image's own bundle.</summary>
    public const string JavaTrustStoreSeen = "/var/lib/discobot/java-cacerts.p12";

    /// <summary>The volume that outlives the container.</summary>
    public string Data => In("/.data");

    public string Proxy => In("/.data/proxy");

    public string ProxyConfig => In(ConfigOverlay.Places[0]);

    /// <summary>What the tools are told of the proxy. Not on the volume, which another container may share.</summary>
    public string ProxyState => In("/run/discobot/proxy.json");

    public string Certificates => In("/.data/proxy/certs");

    public string CaCertificate => In(CaCertificateSeen);

    public string JavaTrustStore => In(JavaTrustStoreSeen);

    public string Docker => In("/.data/docker");

    /// <summary>A volume shared by the sessions of a project, when it is mounted.</summary>
    public string SharedCache => In("/.data/cache");

    /// <summary>The home as the image has it, and the place where the session's home is mounted.</summary>
    public string Home => In("/home/discobot");

    public string Workspace => In(WorkspaceSeen);

    public string WorkspaceLink => In("/workspace");

    /// <summary>Where a bundle of our own may lie: where the image's own would, else in memory, else on the volume.</summary>
    public IReadOnlyList<string> Bundles => [In("/var/lib/discobot"), Run, Certificates];

    public string ProxyBinary => In("/opt/discobot/bin/proxy");

    public string Etc => In("/etc");

    /// <summary>The operator's file that locks keys of the workspace's configuration.</summary>
    public string Policy => In("/etc/discobot/policy.yaml");

    /// <summary>What lives as long as the container: the proxy's start token, and its configuration when the volume is full.</summary>
    public string Run => In("/run/discobot");

    public string DockerSocket => In("/var/run/docker.sock");

    public string DockerPidFile => In("/var/run/docker.pid");

    /// <summary>Puts an absolute path below the root.</summary>
    public string In(string absolute) => Root == "/" ? absolute : Root + absolute;
}
