using System.Text.Json.Nodes;

namespace Discobot.Features.Init;

/// <summary>What runc is asked for where Docker is guarded.</summary>
public sealed class GuardedRuntimeTests
{
    [Fact]
    public void Links_are_followed_inside_a_bind_mount_and_device_nodes_mean_nothing_there()
    {
        var container = Parse("""{"process":{},"mounts":[{"type":"bind","source":"/a","destination":"/a","options":["rbind","rprivate"]},{"type":"proc","options":["nosuid"]}]}""");
        Assert.True(GuardedRuntime.Complete(container, "/nowhere"));
        Assert.Equal("""["rbind","rprivate","rsymfollow","nodev"]""", container["mounts"]![0]!["options"]!.ToJsonString());
        Assert.Equal("""["nosuid"]""", container["mounts"]![1]!["options"]!.ToJsonString());
    }

    [Fact]
    public void Nobody_inside_makes_device_nodes()
    {
        var process = Parse("""{"capabilities":{"bounding":["CAP_CHOWN","CAP_MKNOD"],"effective":["CAP_MKNOD"],"permitted":["CAP_MKNOD","CAP_KILL"]}}""");
        Assert.True(GuardedRuntime.Confine(process));
        Assert.Equal("""{"capabilities":{"bounding":["CAP_CHOWN"],"effective":[],"permitted":["CAP_KILL"]}}""", process.ToJsonString());
    }

    [Fact]
    public void A_guarded_daemon_listens_nowhere_else_and_grants_builds_nothing()
        => Assert.Equal("""{"debug":true,"builder":{"gc":{"enabled":true},"entitlements":{"network-host":false,"security-insecure":false}}}""",
            DockerConfig.Parse("""{"debug":true,"hosts":["tcp://0.0.0.0:2375"],"tls":true,"builder":{"gc":{"enabled":true},"entitlements":{"security-insecure":true}}}""").Guarded());

    [Fact]
    public void Its_data_are_its_own_wherever_they_are_kept()
        => Assert.Contains("\"data-root\":\"/data.guarded\"", DockerConfig.Parse("""{"data-root":"/data"}""").Guarded(), StringComparison.Ordinal);

    private static JsonObject Parse(string text) => (JsonObject)JsonNode.Parse(text)!;
}
