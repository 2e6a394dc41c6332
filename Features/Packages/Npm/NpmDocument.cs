using System.Diagnostics.CodeAnalysis;
using System.Text.Json;
using Discobot.Features.Packages.Documents;

namespace Discobot.Features.Packages.Npm;

/// <summary>An npm package's document, full or abbreviated: its versions, its tags and, when full, when each version was published.</summary>
internal sealed class NpmDocument
{
    private readonly JsonMembers _members;
    private readonly JsonMembers _versions;
    private readonly JsonMembers? _tags;

    private NpmDocument(JsonMembers members, JsonMembers versions)
    {
        (_members, _versions) = (members, versions);
        _tags = members["dist-tags"] is { } tags && JsonMembers.TryRead(tags, out var read) ? read : null;
    }

    /// <summary>Reads a document; false when the bytes are something else.</summary>
    public static bool TryRead(ReadOnlyMemory<byte> text, [NotNullWhen(true)] out NpmDocument? document)
    {
        document = JsonMembers.TryRead(text, out var members) && members["versions"] is { } list && JsonMembers.TryRead(list, out var versions)
            ? new NpmDocument(members, versions) : null;
        return document is not null;
    }

    /// <summary>Whether it tells when versions were published.</summary>
    public bool IsFull => _members["time"] is not null;

    /// <summary>When anything of the package was last changed; no version is younger.</summary>
    public DateTimeOffset? Modified => _members.Time("modified");

    public IEnumerable<string> Versions => _versions.All.Select(v => v.Name);

    /// <summary>When each version was published; null of one that it does not tell of.</summary>
    public Dictionary<string, DateTimeOffset?> Times()
    {
        var told = _members["time"] is { } time && JsonMembers.TryRead(time, out var read) ? read : null;
        return _versions.All.ToDictionary(v => v.Name, v => told?.Time(v.Name));
    }

    /// <summary>The address of each version's file, as it stands there.</summary>
    public IEnumerable<(string Version, string Address)> Tarballs()
    {
        foreach (var (version, value) in _versions.All)
        {
            if (JsonMembers.TryRead(value, out var members) && members["dist"] is { } dist && JsonMembers.TryRead(dist, out var read) && read.Text("tarball") is { } address)
                yield return (version, address);
        }
    }

    /// <summary>What is told of a version, as JSON.</summary>
    public ReadOnlyMemory<byte>? Version(string version) => _versions[version];

    /// <summary>The tags with those moved back that stand on a version that is not shown; a tag without such a version goes.</summary>
    public Dictionary<string, string> Tags(Func<string, bool> shows)
    {
        var moved = new Dictionary<string, string>();
        if (_tags is null)
            return moved;
        List<Candidate>? shown = null;
        foreach (var (tag, value) in _tags.All)
        {
            if (JsonMembers.TextOf(value) is not { } version)
                continue;
            if (shows(version) || _versions[version] is null)
            {
                moved[tag] = version;
                continue;
            }

            shown ??= [.. Candidates(shows)];
            if (SemanticVersion.TryParse(version, out var was) && Before(tag, was, shown) is { } earlier)
                moved[tag] = earlier;
        }

        return moved;
    }

    /// <summary>The document without the versions that are not shown.</summary>
    /// <param name="shows">Whether a version is.</param>
    /// <param name="newest">When the youngest of those was published.</param>
    public byte[] Without(Func<string, bool> shows, DateTimeOffset? newest) => _members.With((json, name, value) =>
    {
        switch (name)
        {
            case "versions":
                JsonMembers.Write(json, _versions.All.Where(v => shows(v.Name)));
                return true;
            case "dist-tags":
                WriteTags(json, shows);
                return true;
            case "time" when JsonMembers.TryRead(value, out var times):
                WriteTimes(json, times, shows, newest);
                return true;
            case "modified" when newest is { } time:
                json.WriteStringValue(JsonMembers.TextOf(time));
                return true;
            default:
                return false;
        }
    });

    private IEnumerable<Candidate> Candidates(Func<string, bool> shows)
    {
        foreach (var (name, value) in _versions.All)
        {
            if (shows(name) && SemanticVersion.TryParse(name, out var version))
                yield return new Candidate(name, version, IsDeprecated(value));
        }
    }

    private void WriteTags(Utf8JsonWriter json, Func<string, bool> shows)
    {
        json.WriteStartObject();
        foreach (var (tag, version) in Tags(shows))
            json.WriteString(tag, version);
        json.WriteEndObject();
    }

    // Versions that were unpublished keep a time here; those that are kept back must not show one.
    private static void WriteTimes(Utf8JsonWriter json, JsonMembers times, Func<string, bool> shows, DateTimeOffset? newest)
    {
        json.WriteStartObject();
        foreach (var (name, value) in times.All)
        {
            if (name is not ("created" or "modified" or "unpublished") && !shows(name))
                continue;
            json.WritePropertyName(name);
            if (name == "modified" && newest is { } time)
                json.WriteStringValue(JsonMembers.TextOf(time));
            else
                json.WriteRawValue(value.Span, skipInputValidation: true);
        }

        json.WriteEndObject();
    }

    /// <summary>
    /// The newest that a tag can stand on instead: older than what it stood on, a release for a release and of the same line for a prerelease, not
    /// deprecated where there is a choice. "latest" crosses majors, and takes a prerelease where there is no release; other tags name a line.
    /// </summary>
    private static string? Before(string tag, SemanticVersion was, List<Candidate> shown)
    {
        var isLatest = tag == "latest";
        var older = shown.Where(s => s.Version.CompareTo(was) < 0 && (isLatest || s.Version.Major == was.Major)).ToArray();
        var alike = older.Where(s => was.IsPrerelease ? s.Version.Line == was.Line : !s.Version.IsPrerelease).ToArray();
        if (alike.Length == 0 && isLatest)
            alike = older.Any(s => !s.Version.IsPrerelease) ? [.. older.Where(s => !s.Version.IsPrerelease)] : older;
        return alike.OrderBy(s => s.IsDeprecated).ThenByDescending(s => s.Version).Select(s => s.Text).FirstOrDefault();
    }

    private static bool IsDeprecated(ReadOnlyMemory<byte> version) =>
        JsonMembers.TryRead(version, out var members) && members["deprecated"] is { } mark && !(mark.Span.SequenceEqual("false"u8) || mark.Span.SequenceEqual("\"\""u8));

    private sealed record Candidate(string Text, SemanticVersion Version, bool IsDeprecated);
}
