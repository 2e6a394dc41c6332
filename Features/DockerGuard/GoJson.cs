using System.Text.Json;

namespace Discobot.Features.DockerGuard;

/// <summary>
/// JSON that dockerd reads as we do. Go's encoding/json takes names in any case (and U+017F for s, U+212A for k), the last of several, and stops after
/// the first value; whatever makes use of that is refused, so that there is one reading.
/// </summary>
internal static class GoJson
{
    private const int MaxDepth = 32;

    // Go reads these into maps, whose keys are anybody's and differ by case.
    private static readonly HashSet<string> Maps = new(StringComparer.OrdinalIgnoreCase)
    {
        "Labels", "Volumes", "ExposedPorts", "PortBindings", "Sysctls", "Tmpfs", "StorageOpt", "Annotations", "Config", "DriverOpts", "Options",
        "EndpointsConfig", "AuxiliaryAddresses", "OnBuild",
    };

    /// <summary>Reads a whole body.</summary>
    /// <returns>The value, or why there is none.</returns>
    public static (JsonDocument? Document, string? Problem) Read(ReadOnlyMemory<byte> body)
    {
        JsonDocument? document = null;
        try
        {
            document = JsonDocument.Parse(body, new JsonDocumentOptions { MaxDepth = MaxDepth });
            if (Ambiguity(document.RootElement, isMap: false) is not { } problem)
                return (document, null);
            document.Dispose();
            return (null, problem);
        }
        catch (Exception error) when (error is JsonException or InvalidOperationException)
        {
            document?.Dispose();
            return (null, "the body is no JSON that can be read in one way only");
        }
    }

    /// <summary>Whether Go would make nothing of it: null, false, 0 and what is empty.</summary>
    public static bool IsEmpty(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Null or JsonValueKind.False or JsonValueKind.Undefined => true,
        JsonValueKind.Number => value.TryGetInt64(out var number) && number == 0,
        JsonValueKind.String => value.GetString()!.Length == 0,
        JsonValueKind.Array => value.GetArrayLength() == 0,
        JsonValueKind.Object => !value.EnumerateObject().Any(),
        _ => false,
    };

    /// <summary>A member by its name in any case.</summary>
    public static JsonElement? Member(JsonElement value, string name)
    {
        if (value.ValueKind != JsonValueKind.Object)
            return null;
        foreach (var member in value.EnumerateObject())
        {
            if (member.Name.Equals(name, StringComparison.OrdinalIgnoreCase))
                return member.Value;
        }

        return null;
    }

    /// <summary>A member that is a string; empty when there is none.</summary>
    /// <exception cref="InvalidOperationException">It is something else.</exception>
    public static string Text(JsonElement value, string name)
        => Member(value, name) is { ValueKind: not JsonValueKind.Null } member ? member.GetString() ?? "" : "";

    /// <summary>The first member that says something and is none of those that are known: it may be one of a later version; null when there is none.</summary>
    /// <param name="value">An object.</param>
    /// <param name="known">Names, compared as Go does.</param>
    public static string? Unknown(JsonElement value, IReadOnlySet<string> known)
        => value.EnumerateObject().Where(member => !known.Contains(member.Name) && !IsEmpty(member.Value)).Select(member => member.Name).FirstOrDefault();

    private static string? Ambiguity(JsonElement value, bool isMap)
    {
        if (value.ValueKind == JsonValueKind.Array)
            return value.EnumerateArray().Select(item => Ambiguity(item, isMap: false)).FirstOrDefault(problem => problem is not null);
        if (value.ValueKind == JsonValueKind.String)
        {
            _ = value.GetString();
            return null;
        }

        if (value.ValueKind != JsonValueKind.Object)
            return null;
        var names = new HashSet<string>(isMap ? StringComparer.Ordinal : StringComparer.OrdinalIgnoreCase);
        foreach (var member in value.EnumerateObject())
        {
            if (!isMap && member.Name.Any(c => !char.IsAscii(c)))
                return "the body has a key that is not ASCII";
            if (!names.Add(member.Name))
                return $"the body has the key {member.Name} more than once";
            if (Ambiguity(member.Value, !isMap && Maps.Contains(member.Name)) is { } problem)
                return problem;
        }

        return null;
    }
}
