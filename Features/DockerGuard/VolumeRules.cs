using System.Text.Json;

namespace Discobot.Features.DockerGuard;

/// <summary>What a volume may not be: with options, Docker's local driver mounts any directory, device or share of a network.</summary>
internal static class VolumeRules
{
    private static readonly HashSet<string> Harmless = new(StringComparer.OrdinalIgnoreCase) { "Name", "Driver", "DriverOpts", "Labels" };

    /// <summary>Why a volume may not be made as <c>POST /volumes/create</c> describes it; null when it may.</summary>
    public static string? Refusal(JsonElement volume)
        => GoJson.Member(volume, "ClusterVolumeSpec") is { ValueKind: not JsonValueKind.Null } ? "a cluster volume" : GoJson.Unknown(volume, Harmless)
            ?? Refusal(GoJson.Text(volume, "Driver"), GoJson.Member(volume, "DriverOpts"));

    /// <param name="driver">Empty is the local one.</param>
    /// <param name="options">The driver's.</param>
    public static string? Refusal(string driver, JsonElement? options)
    {
        if (driver is not ("" or "local"))
            return $"the volume driver {driver}";
        if (options is not { ValueKind: JsonValueKind.Object } given || GoJson.IsEmpty(given))
            return null;
        var isInMemory = given.EnumerateObject().Any(o => o.NameEquals("type") && o.Value.GetString() == "tmpfs");
        return given.EnumerateObject().Where(o => !(o.NameEquals("size") || (isInMemory && o.Name is "type" or "device" or "o")))
            .Select(o => $"a volume with the driver option {o.Name}={o.Value}").FirstOrDefault();
    }
}
