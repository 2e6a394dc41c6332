using DotNet.Testcontainers.Builders;
using DotNet.Testcontainers.Containers;
using DotNet.Testcontainers.Networks;

namespace Discobot.Integration.Fixtures;

/// <summary>A real dockerd with its containerd in a container of its own, that reaches registries through the proxy alone; skopeo, ctr and curl beside it.</summary>
internal sealed class DockerEngine : IAsyncDisposable
{
    private readonly IContainer _container;

    private DockerEngine(IContainer container) => _container = container;

    /// <summary>On a network where the proxy is another container.</summary>
    public static Task<DockerEngine> StartAsync(INetwork network, byte[] proxyAuthority, string? proxy = null)
        => StartAsync(Configured(proxy ?? ProxyContainer.Address, proxyAuthority).WithNetwork(network));

    /// <summary>In the network of another container, whose proxy it reaches as that container itself does.</summary>
    public static Task<DockerEngine> StartBesideAsync(string container, byte[] proxyAuthority)
        => StartAsync(Configured("http://localhost:17080", proxyAuthority)
            .WithCreateParameterModifier(parameters => parameters.HostConfig!.NetworkMode = $"container:{container}"));

    private static ContainerBuilder Configured(string proxy, byte[] proxyAuthority) => Engine.Container(Engine.Tools)
        .WithEntrypoint("/tools/dockerd.sh")
        .WithEnvironment("HTTPS_PROXY", proxy)
        .WithEnvironment("https_proxy", proxy)
        .WithResourceMapping(proxyAuthority, "/tls/proxy-ca.crt")
        .WithCreateParameterModifier(parameters =>
        {
            // Enough for a nested engine, and less than --privileged, which not every machine grants.
            parameters.HostConfig!.CapAdd = ["SYS_ADMIN", "NET_ADMIN", "SYS_PTRACE", "MKNOD"];
            parameters.HostConfig.SecurityOpt = ["seccomp=unconfined", "apparmor=unconfined"];
            // Groups of its own, which dockerd.sh makes writable: the host's tree is not mounted.
            parameters.HostConfig.CgroupnsMode = "private";
            // overlayfs does not stand on overlayfs.
            parameters.Volumes = new Dictionary<string, Docker.DotNet.Models.EmptyStruct> { ["/var/lib/docker"] = default };
        })
        .WithWaitStrategy(Wait.ForUnixContainer().UntilCommandIsCompleted("docker", "version"));

    private static async Task<DockerEngine> StartAsync(ContainerBuilder builder)
    {
        var container = builder.Build();
        await container.StartAsync();
        return new DockerEngine(container);
    }

    /// <summary>Gets a URL with curl, through the proxy.</summary>
    /// <param name="path">Where the body goes in the container.</param>
    /// <returns>The head of the answer, in lower case.</returns>
    public async Task<string> CurlAsync(string url, string path, params string[] options) =>
        (await RunAsync(["curl", "-sS", "--fail", "-D", "-", "-o", path, .. options, url])).ToLowerInvariant();

    /// <summary>The SHA-256 of a file in the container, as registries write it.</summary>
    public async Task<string> DigestAsync(string path) => $"sha256:{(await RunAsync("sha256sum", path)).Split(' ')[0]}";

    public Task<string> RunAsync(params string[] command) => _container.RunAsync(command);

    /// <summary>The same for what may fail.</summary>
    public Task<ExecResult> TryAsync(params string[] command) => _container.ExecAsync(command);

    /// <summary>Pulls an image and checks that its layers are those that were pushed.</summary>
    /// <param name="reference"><see cref="TestImage.ByDigest"/> or <see cref="TestImage.ByTag"/>.</param>
    public async Task PullAsync(TestImage image, string reference)
    {
        await RunAsync("docker", "pull", reference);
        var layers = await RunAsync("docker", "image", "inspect", "-f", "{{range .RootFS.Layers}}{{println .}}{{end}}", reference);
        Assert.Equal(image.DiffIds, layers.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries));
    }

    /// <summary>Removes the image and its layers, so that the next pull fetches everything.</summary>
    public Task<string> ForgetAsync(string reference) => RunAsync("docker", "image", "rm", "-f", reference);

    public ValueTask DisposeAsync() => _container.DisposeAsync();
}
