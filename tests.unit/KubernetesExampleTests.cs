using Discobot.Tests.Fixtures;
using k8s;
using k8s.Models;

namespace Discobot.Rules;

/// <summary>
/// examples/kubernetes, as strictly read as an API server does, and then run: each container's own words, by its own user, in a pod of its own as a
/// kubelet and a network plugin would make it (<see cref="PodNetwork"/>). A cluster itself is not had.
/// </summary>
public sealed class KubernetesExampleTests : IDisposable
{
    private static readonly IReadOnlyList<object> Objects =
        [.. Read("gateway.yaml"), .. Read("agent.yaml")];

    private readonly PodNetwork _pods = new("example.com", "forbidden.test");

    private static V1Pod Agent => Objects.OfType<V1Pod>().Single();

    private static V1PodSpec Gateway => Objects.OfType<V1Deployment>().Single().Spec.Template.Spec;

    public void Dispose() => _pods.Dispose();

    [Fact]
    public void It_has_no_field_that_Kubernetes_does_not_know_and_no_pod_has_a_right()
    {
        Assert.Equal(["V1ConfigMap", "V1Deployment", "V1NetworkPolicy", "V1NetworkPolicy", "V1PersistentVolumeClaim", "V1Pod", "V1Service"], Objects.Select(o => o.GetType().Name).Order());
        foreach (var pod in (V1PodSpec[])[Gateway, Agent.Spec])
        {
            Assert.True(pod is { SecurityContext: { RunAsNonRoot: true, RunAsUser: 1000, SeccompProfile.Type: "RuntimeDefault" }, AutomountServiceAccountToken: false });
            // Of those that are started one after the other, one that goes on beside the others says so (restartPolicy: Always).
            Assert.All(pod.InitContainers ?? [], container => Assert.Null(container.RestartPolicy));
            Assert.All(pod.Containers.Concat(pod.InitContainers ?? []), container =>
                Assert.True(container.SecurityContext is { AllowPrivilegeEscalation: false, Privileged: null, Capabilities: { Drop: ["ALL"], Add: null } }));
        }

        // The one that is among the safe ones of Kubernetes: any other a kubelet has to be told to allow.
        Assert.Equal(["net.ipv4.ip_unprivileged_port_start"], Gateway.SecurityContext.Sysctls.Select(s => s.Name));
        Assert.True(Gateway.Containers[0].SecurityContext.ReadOnlyRootFilesystem);
    }

    [Fact]
    public async Task The_gateway_serves_as_its_pod_says_and_the_agents_pod_reaches_by_its_service_what_is_allowed()
    {
        var service = Objects.OfType<V1Service>().Single().Spec;
        var policy = Objects.OfType<V1NetworkPolicy>().Single(p => p.Metadata.Name == "discobot-agents").Spec;
        await _pods.StartAsync(service.ClusterIP, [.. service.Ports.Select(p => Name(p.Protocol, p.Port))], [.. policy.Egress.Single().Ports.Select(p => Name(p.Protocol, int.Parse(p.Port.Value, null)))]);
        var rules = Objects.OfType<V1ConfigMap>().Single().Data["gateway.yaml"].Replace("  domains:", "  allow_private: true\n  domains:", StringComparison.Ordinal);
        _pods.Put("etc/discobot/gateway.yaml", rules + "tls:\n  extra_ca: [/etc/discobot/outside.pem]\n");
        _pods.Put("etc/discobot/outside.pem", _pods.Authority);
        Assert.Equal("", _pods.Beside("gateway", string.Concat(Gateway.SecurityContext.Sysctls.Select(s => $"echo {s.Value} > /proc/sys/{s.Name.Replace('.', '/')}; "))));

        var container = Gateway.Containers[0];
        _pods.StartGateway($"{Gateway.SecurityContext.RunAsUser}", [.. container.Command, .. container.Args]);
        var probe = container.ReadinessProbe.HttpGet;
        var port = container.Ports.Single(p => p.Name == probe.Port.Value).ContainerPort;
        await Eventually.TrueAsync(() => Task.FromResult(_pods.OnNode($"curl -sS -m 9 -o /dev/null -w '%{{http_code}}' http://{PodNetwork.Gateway}:{port}{probe.Path}") == "200"));

        var user = $"{Agent.Spec.SecurityContext.RunAsUser}";
        var trust = Agent.Spec.InitContainers.Single();
        Assert.Equal("", _pods.AsAgent(user, [.. trust.Command]));
        var mount = Agent.Spec.Containers.Single().VolumeMounts.Single();
        Assert.Equal("", _pods.Beside("agent", $"mount --bind trust/{mount.SubPath} .{mount.MountPath}"));

        string Curl(string words) => _pods.AsAgent(user, "sh", "-c", $"curl -sS -m 9 {words} 2>&1");
        Assert.Equal("hello example.com\n", Curl("http://example.com/"));
        Assert.Equal("hello example.com\n", Curl("https://example.com/"));
        Assert.Equal("hello example.com\n", Curl($"-x http://{service.ClusterIP}:17080 https://example.com/"));
        Assert.Contains("not in allowlist.domains", Curl("https://forbidden.test/"), StringComparison.Ordinal);
        Assert.Equal("401", Curl($"-X DELETE -o /dev/null -w '%{{http_code}}' http://{service.ClusterIP}:17081/api/cache"));
        Assert.Contains("timed out", Curl("-m 1 http://10.55.0.1/"), StringComparison.Ordinal);
        Assert.All(_pods.Packets(), packet => Assert.Contains(packet, (string[])["17 10.55.0.1 53", "6 10.55.0.1 80", "6 10.55.0.1 443"]));
        Assert.Equal(0, (await _pods.StopGatewayAsync()).Code);
    }

    private static string Name(string? protocol, int port) => $"{(protocol ?? "TCP").ToLowerInvariant()} {port}";

    // Strictly: a field that is not of the type is an error.
    private static List<object> Read(string file) => KubernetesYaml.LoadAllFromString(File.ReadAllText(Path.Combine(Checkout.Top(), "examples/kubernetes", file)), null, true);
}
