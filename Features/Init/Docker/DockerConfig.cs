using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Discobot.Infrastructure.Native;

namespace Discobot.Features.Init.Docker;

/// <summary>
/// What <c>/etc/docker/daemon.json</c> says. The file is the image's author's, or mounted: it is read and never written; what it does not
/// say goes on the daemon's command line.
/// </summary>
internal sealed class DockerConfig
{
    private const int Overhead = 100;
    private const int SmallestMtu = 1200;
    private readonly JsonObject _settings;

    private DockerConfig(JsonObject settings) => _settings = settings;

    /// <summary>Reads the file of a container; nothing is said where there is none, or none that can be read.</summary>
    public static DockerConfig Read(Container container)
    {
        var config = Read(container.Paths, out var problem);
        if (problem is not null)
            container.Log.Warning(problem);
        return config;
    }

    /// <summary>The same.</summary>
    /// <param name="paths">The container's.</param>
    /// <param name="problem">Why the file says nothing; null where it can be read, or there is none.</param>
    public static DockerConfig Read(ContainerPaths paths, out string? problem)
    {
        problem = null;
        var path = paths.In("/etc/docker/daemon.json");
        if (Path.Exists(path) && !RegularFile.IsOrMissing(path))
        {
            // The engine makes a directory for a mount whose file is missing on its host; /dev/null is mounted to have none.
            return new DockerConfig([]) { IsLeftOut = true };
        }

        try
        {
            return Parse(Path.Exists(path) ? RegularFile.ReadAllText(path) : "");
        }
        catch (Exception error) when (error is JsonException or IOException or UnauthorizedAccessException)
        {
            problem = $"{path} cannot be used: {error.Message}";
            return Parse("");
        }
    }

    /// <exception cref="JsonException">The text is no JSON object.</exception>
    public static DockerConfig Parse(string text)
        => new(string.IsNullOrWhiteSpace(text) ? [] : JsonNode.Parse(text) as JsonObject ?? throw new JsonException("not an object"));

    /// <summary>Whether what stands in the file's place is nothing that can be read: the daemon would end, or wait for ever.</summary>
    public bool IsLeftOut { get; private init; }

    /// <summary>Whether the daemon's API is behind TLS.</summary>
    public bool IsByTls => _settings["tls"]?.ToJsonString() == "true" || _settings["tlsverify"]?.ToJsonString() == "true";

    public string PidFile => Text("pidfile") ?? "/var/run/docker.pid";

    public string ExecutionRoot => Text("exec-root") ?? "/var/run/docker";

    /// <summary>Whose group the sockets are.</summary>
    public string Group => Text("group") ?? "docker";

    /// <summary>Where the daemon listens, as far as it can be asked there.</summary>
    /// <param name="usual">The socket when the file names no hosts.</param>
    public IReadOnlyList<DockerEndpoint> Endpoints(string usual)
        => _settings["hosts"] is JsonArray hosts
            ? [.. hosts.OfType<JsonValue>().Select(h => h.TryGetValue<string>(out var text) ? DockerEndpoint.Parse(text) : null).OfType<DockerEndpoint>()]
            : [new DockerEndpoint(usual)];

    /// <summary>The file for a daemon behind a guard: it listens where its command line says and nowhere else, and grants builds neither the host's network
    /// nor more rights. Whoever builds by BuildKit's own protocol (<c>/grpc</c>) gets what the daemon grants.</summary>
    public string Guarded()
    {
        var settings = (JsonObject)_settings.DeepClone();
        foreach (var key in new[] { "hosts", "tls", "tlsverify", "tlscacert", "tlscert", "tlskey" })
            settings.Remove(key);
        if (Text("data-root") is { } data)
            settings["data-root"] = data + GuardedDocker.DataSuffix;
        if (settings["builder"] is not JsonObject builder)
            settings["builder"] = builder = [];
        builder["entitlements"] = new JsonObject { ["network-host"] = false, ["security-insecure"] = false };
        return settings.ToJsonString();
    }

    /// <summary>dockerd refuses to start when a setting is in its file and on its command line: the file's word counts.</summary>
    public bool Has(string key) => _settings.ContainsKey(key);

    /// <summary>The largest packet of nested networks, with room for the headers of a tunnel around theirs; null where it cannot be told.</summary>
    public static int? Mtu(ContainerPaths paths)
    {
        var routes = paths.In("/proc/net/route");
        if (!File.Exists(routes) || DefaultInterface(RegularFile.ReadAllLines(routes)) is not { } name)
            return null;
        var file = paths.In($"/sys/class/net/{name}/mtu");
        return File.Exists(file) && int.TryParse(RegularFile.ReadAllText(file).Trim(), NumberStyles.None, CultureInfo.InvariantCulture, out var mtu)
            ? Math.Max(SmallestMtu, mtu - Overhead)
            : null;
    }

    /// <summary>The interface of the default route (proc(5), /proc/net/route: destination and mask are zero); null when there is none.</summary>
    public static string? DefaultInterface(IEnumerable<string> routes)
        => routes.Select(line => line.Split('\t', StringSplitOptions.TrimEntries))
            .FirstOrDefault(fields => fields.Length > 7 && fields[1] == "00000000" && fields[7] == "00000000")?[0];

    private string? Text(string key) => _settings[key] is JsonValue value && value.TryGetValue<string>(out var text) && text.Length > 0 ? text : null;
}
