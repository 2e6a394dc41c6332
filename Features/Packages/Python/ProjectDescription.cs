using System.Diagnostics.CodeAnalysis;
using System.Text.Json;
using Discobot.Features.Packages.Documents;

namespace Discobot.Features.Packages.Python;

/// <summary>What PyPI's JSON tells of a project or a version: <c>info</c>, the files of that version (<c>urls</c>), and those of all (<c>releases</c>).</summary>
internal sealed class ProjectDescription
{
    private const string Time = "upload_time_iso_8601";

    private readonly JsonMembers _members;
    private readonly List<PythonFile> _urls;
    private readonly List<(string Version, List<PythonFile> Files)> _releases = [];

    private ProjectDescription(JsonMembers members, JsonMembers info, ReadOnlyMemory<byte> urls)
    {
        _members = members;
        Version = info.Text("version") ?? "";
        _urls = [.. PythonFile.ReadAll(urls, Time)];
        if (members["releases"] is { } releases && JsonMembers.TryRead(releases, out var all))
            _releases.AddRange(all.All.Select(r => (r.Name, PythonFile.ReadAll(r.Value, Time).ToList())));
    }

    /// <summary>The version that is described.</summary>
    public string Version { get; }

    public IEnumerable<PythonFile> Files => _urls.Concat(_releases.SelectMany(r => r.Files));

    public static bool TryRead(ReadOnlyMemory<byte> text, [NotNullWhen(true)] out ProjectDescription? told)
    {
        told = JsonMembers.TryRead(text, out var members) && members["info"] is { } info && JsonMembers.TryRead(info, out var read) && members["urls"] is { } urls
            ? new ProjectDescription(members, read, urls) : null;
        return told is not null;
    }

    /// <summary>Whether the version that is described is shown: it has no files, or one that is.</summary>
    public bool Shown(Func<PythonFile, bool> shows) => _urls.Count == 0 || _urls.Any(shows);

    /// <summary>The version whose files are the youngest of those that are shown; a release before a prerelease.</summary>
    public string? Newest(Func<PythonFile, bool> shows) => _releases
        .Where(r => r.Files.Any(shows))
        .OrderBy(r => r.Version.Any(char.IsAsciiLetter))
        .ThenByDescending(r => r.Files.Where(shows).Min(f => f.Published))
        .Select(r => r.Version).FirstOrDefault();

    /// <summary>The description without the files that are not shown.</summary>
    /// <param name="shows">Whether a file is.</param>
    /// <param name="other">Whose version is described instead; null to leave that.</param>
    public byte[] Without(Func<PythonFile, bool> shows, ProjectDescription? other) => _members.With((json, name, value) =>
    {
        if (name == "urls")
            PythonFile.Write(json, (other ?? this)._urls.Where(shows));
        else if (name == "releases")
            WriteReleases(json, shows);
        else
            json.WriteRawValue((other?._members[name] ?? value).Span, skipInputValidation: true);
        return true;
    });

    private void WriteReleases(Utf8JsonWriter json, Func<PythonFile, bool> shows)
    {
        json.WriteStartObject();
        foreach (var (version, files) in _releases.Where(r => r.Files.Count == 0 || r.Files.Any(shows)))
        {
            json.WritePropertyName(version);
            PythonFile.Write(json, files.Where(shows));
        }

        json.WriteEndObject();
    }
}
