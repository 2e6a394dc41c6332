using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Discobot.Infrastructure.Native;

namespace Discobot.Features.Init;

/// <summary>Completes <c>/etc/docker/daemon.json</c>; what the image's author wrote there stays.</summary>
internal sealed class DockerConfig(Container container)
{
    private const int Overhead = 100;
    private const int SmallestMtu = 1200;
    private const UnixFileMode Readable =
        UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.OtherRead;

    /// <summary>Writes the file.</summary>
    /// <returns>The keys in it.</returns>
    public IReadOnlySet<string> Write()
    {
        var path = container.Paths.In("/etc/docker/daemon.json");
        try
        {
            var old = File.Exists(path) ? File.ReadAllText(path) : "";
            var settings = Merge(old, Mtu());
            var text = settings.ToJsonString(new JsonSerializerOptions { WriteIndented = true }) + "\n";
            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            if (settings.Count > 0 && text != old)
                AtomicFile.Write(path, Encoding.UTF8.GetBytes(text), Readable);
            return settings.Select(entry => entry.Key).ToHashSet();
        }
        catch (JsonException error)
        {
            container.Log.Warning($"{path} is not JSON and stays as it is: {error.Message}");
            return new HashSet<string>();
        }
    }

    /// <summary>The settings of a file with the MTU added, unless it names one.</summary>
    /// <exception cref="JsonException">The text is no JSON object.</exception>
    public static JsonObject Merge(string text, int? mtu)
    {
        var settings = string.IsNullOrWhiteSpace(text) ? [] : JsonNode.Parse(text) as JsonObject ?? throw new JsonException("not an object");
        if (mtu is { } value && !settings.ContainsKey("mtu"))
            settings["mtu"] = JsonValue.Create(value);
        return settings;
    }

    /// <summary>The interface of the default route (proc(5), /proc/net/route: destination and mask are zero); null when there is none.</summary>
    public static string? DefaultInterface(IEnumerable<string> routes)
        => routes.Select(line => line.Split('\t', StringSplitOptions.TrimEntries))
            .FirstOrDefault(fields => fields.Length > 7 && fields[1] == "00000000" && fields[7] == "00000000")?[0];

    // Room for the headers of a tunnel around the nested network's packets.
    private int? Mtu()
    {
        var routes = container.Paths.In("/proc/net/route");
        if (!File.Exists(routes) || DefaultInterface(File.ReadLines(routes)) is not { } name)
            return null;
        var file = container.Paths.In($"/sys/class/net/{name}/mtu");
        return File.Exists(file) && int.TryParse(File.ReadAllText(file).Trim(), NumberStyles.None, CultureInfo.InvariantCulture, out var mtu)
            ? Math.Max(SmallestMtu, mtu - Overhead)
            : null;
    }
}
