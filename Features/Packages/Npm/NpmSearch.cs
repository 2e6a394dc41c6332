using System.Text.Json;
using Discobot.Features.Packages.Documents;

namespace Discobot.Features.Packages.Npm;

/// <summary>What the search of an npm registry has found (<c>/-/v1/search</c>): of each package the newest version, and when it was published.</summary>
internal sealed class NpmSearch
{
    /// <summary>Packages of one answer whose documents are asked for; what is too young beyond them is left out.</summary>
    public const int MostAsked = 32;

    private const string Path = "/-/v1/search";

    private readonly JsonMembers _members;
    private readonly List<(JsonMembers Object, JsonMembers Package)> _objects;

    private NpmSearch(JsonMembers members, List<(JsonMembers, JsonMembers)> objects) => (_members, _objects) = (members, objects);

    /// <summary>In the order in which they were found.</summary>
    public IEnumerable<(string Name, DateTimeOffset? Published)> Packages => _objects.Select(o => (NameOf(o.Package), o.Package.Time("date")));

    /// <param name="path">However it is spelled.</param>
    /// <param name="prefix">What stands before it, as before a package.</param>
    public static bool TryParse(string path, out string prefix)
    {
        var isSearch = RegistryPath.Of(path) is { } decoded && decoded.EndsWith(Path, StringComparison.Ordinal);
        prefix = isSearch ? RegistryPath.Of(path)![..^Path.Length] : "";
        return isSearch;
    }

    /// <returns>Null of what is no such answer.</returns>
    public static NpmSearch? Read(ReadOnlyMemory<byte> text)
    {
        if (!JsonMembers.TryRead(text, out var members) || members["objects"] is not { } list)
            return null;
        var objects = new List<(JsonMembers, JsonMembers)>();
        foreach (var element in JsonMembers.Elements(list))
        {
            if (!JsonMembers.TryRead(element, out var found) || found["package"] is not { } described || !JsonMembers.TryRead(described, out var package) || package.Text("name") is null)
                return null;
            objects.Add((found, package));
        }

        return new NpmSearch(members, objects);
    }

    /// <summary>The answer with other versions in the place of those that are not shown, and without those that have none.</summary>
    /// <param name="hidden">Names of packages.</param>
    /// <param name="earlier">What is shown of them.</param>
    public byte[] With(HashSet<string> hidden, Dictionary<string, (string Version, DateTimeOffset Published)> earlier) => _members.With((json, name, _) =>
    {
        if (name != "objects")
            return false;
        json.WriteStartArray();
        foreach (var (found, package) in _objects)
        {
            if (!hidden.Contains(NameOf(package)))
                JsonMembers.Write(json, found.All);
            else if (earlier.TryGetValue(NameOf(package), out var shown))
                Write(json, found, package, shown.Version, JsonMembers.TextOf(shown.Published));
        }

        json.WriteEndArray();
        return true;
    });

    private static void Write(Utf8JsonWriter json, JsonMembers found, JsonMembers package, string version, string published)
    {
        bool WriteText(string text)
        {
            json.WriteStringValue(text);
            return true;
        }

        bool WritePackage()
        {
            package.Write(json, (name, _) => name switch { "version" => WriteText(version), "date" => WriteText(published), _ => false });
            return true;
        }

        found.Write(json, (name, _) => name switch { "package" => WritePackage(), "updated" => WriteText(published), _ => false });
    }

    private static string NameOf(JsonMembers package) => package.Text("name")!;
}
