using System.Text.Json.Nodes;
using Discobot.Infrastructure.Native;

namespace Discobot.Features.Init;

/// <summary>
/// Stands before runc where Docker is guarded, and takes from containers what the agent could use from outside, where other rules hold than within: by
/// <c>/proc/PID/root</c> it opens whatever device node a container has, and root there, an image or <c>docker cp</c> may make one for any device.
/// </summary>
internal static class GuardedRuntime
{
    private const string MakesDevices = "CAP_MKNOD";

    /// <summary>Changes a container's description (OCI runtime-spec 1.0, config.json).</summary>
    /// <param name="container">The description.</param>
    /// <param name="bundle">The directory that it is in.</param>
    public static bool Complete(JsonObject container, string bundle)
    {
        foreach (var mount in container["mounts"] as JsonArray ?? [])
        {
            if (mount?["options"] is not JsonArray options || !options.Any(o => o?.GetValue<string>() is "bind" or "rbind"))
                continue;
            // dockerd follows no links in the agent's directories, nor do the mounts it makes; inside the container they are followed again.
            options.Add((JsonNode?)JsonValue.Create("rsymfollow"));
            options.Add((JsonNode?)JsonValue.Create("nodev"));
        }

        if (container["root"]?["path"]?.GetValue<string>() is { } root && Path.Combine(bundle, root) is var top && Mounts.TypeAt(top) is not null)
            LinklessMounts.ForbidDevices(top);
        return container["process"] is JsonObject process && Confine(process);
    }

    /// <summary>Takes from a process the right to make device nodes; true, as it may have been changed.</summary>
    public static bool Confine(JsonObject process)
    {
        foreach (var set in process["capabilities"] as JsonObject ?? [])
        {
            foreach (var capability in (set.Value as JsonArray)?.Where(c => c?.GetValue<string>() == MakesDevices).ToList() ?? [])
                ((JsonArray)set.Value!).Remove(capability);
        }

        return true;
    }
}
