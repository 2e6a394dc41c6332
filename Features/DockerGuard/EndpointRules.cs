using System.Text.Json;

namespace Discobot.Features.DockerGuard;

/// <summary>What becomes of a request once its head is known.</summary>
internal enum Passage
{
    /// <summary>Refused.</summary>
    None,

    /// <summary>Passed on.</summary>
    Stream,

    /// <summary>Passed on, and the connection may become a stream of bytes.</summary>
    Hijack,

    /// <summary>Passed on when its body, which is small, has been looked at.</summary>
    Body,
}

/// <summary>
/// Which requests of Docker's HTTP API pass (the list of API 1.41 to 1.51). What is not on it does not: swarm, services, secrets, plugins,
/// checkpoints, and whatever later versions bring.
/// </summary>
internal sealed class EndpointRules(AllowedSources sources, string? hostNetworkId)
{
    // All but Privileged.
    private static readonly HashSet<string> HarmlessInExec = new(StringComparer.OrdinalIgnoreCase)
    {
        "User", "Tty", "ConsoleSize", "AttachStdin", "AttachStdout", "AttachStderr", "Detach", "DetachKeys", "Env", "WorkingDir", "Cmd", "Container",
    };

    private readonly NetworkRules _networks = new(hostNetworkId);
    private readonly ContainerRules _containers = new(sources, new NetworkRules(hostNetworkId));

    /// <summary>Judges by the head.</summary>
    /// <returns>Why not, where it does not pass.</returns>
    public (Passage Passage, string? Refusal) Judge(string method, GuardedPath path)
    {
        var passage = Find(method, path);
        if (passage == Passage.None)
            return (Passage.None, $"{method} /{string.Join('/', path.Segments)}, which is not among the requests that are known to stay inside");
        if ((method, path.First, path.Segments.Count) is ("POST", "build", 1) && BuildRefusal(path) is { } build)
            return (Passage.None, build);
        if ((method, path.First, path.Last) is ("POST", "networks", "connect") && _networks.ModeRefusal(path.Name) is { } network)
            return (Passage.None, network);
        if (path.Last == "start" && path.Query.Any(p => p.Key.StartsWith("checkpoint", StringComparison.Ordinal)))
            return (Passage.None, "a start from a checkpoint");
        return (passage, null);
    }

    /// <summary>Why a request with <see cref="Passage.Body"/> is not passed on; null when it is.</summary>
    public string? Judge(GuardedPath path, ReadOnlyMemory<byte> body)
    {
        if (body.Length == 0)
            return null;
        var (document, problem) = GoJson.Read(body);
        if (document is null)
            return problem;
        using (document)
        {
            try
            {
                var root = document.RootElement;
                if (root.ValueKind == JsonValueKind.Null)
                    return null;
                return (path.First, path.Last) switch
                {
                    _ when root.ValueKind != JsonValueKind.Object => "a body that is no object",
                    ("containers", "exec") => GoJson.Unknown(root, HarmlessInExec),
                    ("containers", _) => _containers.Refusal(root),
                    ("volumes", _) => VolumeRules.Refusal(root),
                    ("networks", "create") => NetworkRules.Refusal(root),
                    ("networks", "connect") => _networks.ConnectionRefusal(root),
                    _ => "a body that nobody looks at",
                };
            }
            catch (InvalidOperationException)
            {
                return "a value of another type than dockerd expects";
            }
        }
    }

    private static Passage Find(string method, GuardedPath path) => (method, path.First, path.Segments.Count) switch
    {
        ("GET" or "HEAD", "_ping", 1) or ("GET", "version" or "info" or "events", 1) => Passage.Stream,
        ("GET", "system", 2) when path.Last == "df" => Passage.Stream,
        ("POST", "auth", 1) => Passage.Stream,
        ("POST", "session" or "grpc", 1) => Passage.Hijack,
        ("POST", "build" or "commit", 1) => Passage.Stream,
        ("POST", "build", 2) when path.Last is "prune" or "cancel" => Passage.Stream,
        ("GET", "distribution", > 2) when path.Last == "json" => Passage.Stream,
        (_, "containers", _) => FindContainer(method, path),
        ("POST", "exec", 3) => path.Last switch { "start" => Passage.Hijack, "resize" => Passage.Stream, _ => Passage.None },
        ("GET", "exec", 3) when path.Last == "json" => Passage.Stream,
        ("GET" or "POST" or "DELETE", "images", > 1) => FindImage(method, path),
        ("GET" or "DELETE", "networks", <= 2) => Passage.Stream,
        ("POST", "networks", 2) => path.Last switch { "create" => Passage.Body, "prune" => Passage.Stream, _ => Passage.None },
        ("POST", "networks", > 2) => path.Last switch { "connect" => Passage.Body, "disconnect" => Passage.Stream, _ => Passage.None },
        ("GET" or "DELETE", "volumes", <= 2) => Passage.Stream,
        ("POST", "volumes", 2) => path.Last switch { "create" => Passage.Body, "prune" => Passage.Stream, _ => Passage.None },
        // What asks only what there is of them: compose and `docker info` do.
        ("GET", "plugins" or "swarm" or "nodes" or "services" or "tasks" or "secrets" or "configs", 1) => Passage.Stream,
        _ => Passage.None,
    };

    private static Passage FindContainer(string method, GuardedPath path) => (method, path.Segments.Count, path.Last) switch
    {
        ("GET", 2, "json") => Passage.Stream,
        ("POST", 2, "create") => Passage.Body,
        ("POST", 2, "prune") => Passage.Stream,
        ("GET", > 2, "json" or "top" or "logs" or "changes" or "stats" or "export" or "archive") => Passage.Stream,
        ("HEAD" or "PUT", > 2, "archive") => Passage.Stream,
        ("GET", > 3, "ws") when path.Segments[^2] == "attach" => Passage.Hijack,
        ("POST", > 2, "attach") => Passage.Hijack,
        // Before API 1.24 the start could describe the container anew.
        ("POST", > 2, "start" or "update" or "exec") => Passage.Body,
        ("POST", > 2, "stop" or "restart" or "kill" or "rename" or "pause" or "unpause" or "resize" or "wait") => Passage.Stream,
        ("DELETE", >= 2, not "checkpoints") when !path.Segments.Contains("checkpoints") => Passage.Stream,
        _ => Passage.None,
    };

    private static Passage FindImage(string method, GuardedPath path) => (method, path.Segments.Count, path.Last) switch
    {
        ("GET", 2, "json" or "search" or "get") or ("GET", > 2, "json" or "history" or "get" or "attestations") => Passage.Stream,
        ("POST", 2, "create" or "load" or "prune") or ("POST", > 2, "tag" or "push") => Passage.Stream,
        ("DELETE", _, _) => Passage.Stream,
        _ => Passage.None,
    };

    // With BuildKit, too; what is asked for behind /grpc instead, dockerd itself refuses: its settings grant no entitlement.
    private string? BuildRefusal(GuardedPath path)
    {
        foreach (var (name, value) in path.Query)
        {
            if (name == "networkmode" && _networks.ModeRefusal(value) is { } network)
                return network;
            if (name is "cgroupparent" or "securityopt" or "isolation" && value is not ("" or "default" or "null" or "[]"))
                return name;
        }

        return null;
    }
}
