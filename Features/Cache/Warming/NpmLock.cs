using System.Text.Json;

namespace Discobot.Features.Cache.Warming;

/// <summary>package-lock.json in its versions 1 (nested <c>dependencies</c>), 2 (both) and 3 (<c>packages</c>).</summary>
internal static class NpmLock
{
    private const string Registry = "https://registry.npmjs.org";

    public static IEnumerable<WarmItem> Read(string text)
    {
        using var document = JsonDocument.Parse(text, new JsonDocumentOptions { MaxDepth = 256 });
        var root = document.RootElement;
        if (root.ValueKind != JsonValueKind.Object)
            throw new FormatException("it is no object");
        var found = new List<WarmItem>();
        if (root.TryGetProperty("packages", out var packages) && packages.ValueKind == JsonValueKind.Object)
        {
            foreach (var package in packages.EnumerateObject())
            {
                // The project itself and its workspaces lie in no node_modules, and links have their files elsewhere.
                if (package.Name.LastIndexOf("node_modules/", StringComparison.Ordinal) is var at and >= 0)
                    Add(found, Text(package.Value, "name") ?? package.Name[(at + "node_modules/".Length)..], package.Value);
            }
        }
        else
        {
            AddNested(found, root);
        }

        return found;
    }

    private static void AddNested(List<WarmItem> found, JsonElement parent)
    {
        if (!parent.TryGetProperty("dependencies", out var dependencies) || dependencies.ValueKind != JsonValueKind.Object)
            return;
        foreach (var dependency in dependencies.EnumerateObject())
        {
            Add(found, dependency.Name, dependency.Value);
            if (dependency.Value.ValueKind == JsonValueKind.Object)
                AddNested(found, dependency.Value);
        }
    }

    private static void Add(List<WarmItem> found, string name, JsonElement package)
    {
        if (package.ValueKind != JsonValueKind.Object || IsTrue(package, "link") || IsTrue(package, "bundled") || IsTrue(package, "inBundle")
            // Files, git and the like have something else in the place of a version.
            || Text(package, "version") is not { Length: > 0 } version || !char.IsAsciiDigit(version[0]))
            return;
        // npm leaves the address out where it is the registry's own (omit-lockfile-registry-resolved).
        if (Tarball($"{name}@{version}", Text(package, "resolved") ?? AddressOf(name, version), Text(package, "integrity"), "npm/?") is { } item)
            found.Add(item);
    }

    /// <summary>Where npm's registry has a tarball.</summary>
    public static string AddressOf(string name, string version) => $"{Registry}/{name}/-/{name[(name.LastIndexOf('/') + 1)..]}-{version}.tgz";

    /// <summary>A tarball as its client asks for it; null where it comes from no web address.</summary>
    public static WarmItem? Tarball(string name, string url, string? integrity, string agent) =>
        url.StartsWith("http://", StringComparison.Ordinal) || url.StartsWith("https://", StringComparison.Ordinal)
            ? new WarmItem(name, Files: [new WarmFile(url, "*/*", "gzip,deflate", agent, integrity)]) : null;

    private static string? Text(JsonElement element, string name) =>
        element.ValueKind == JsonValueKind.Object && element.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    private static bool IsTrue(JsonElement element, string name) => element.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.True;
}
