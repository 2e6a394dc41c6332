using System.Net;
using System.Text;
using System.Text.Json;
using Discobot.Features.Packages.Documents;

namespace Discobot.Features.Packages.Python;

/// <summary>A file of a project, as an index or a description tells of it.</summary>
/// <param name="Name">The file's name.</param>
/// <param name="Project">The project's, from the file's name.</param>
/// <param name="Version">The version's, from the file's name; with the escapes of local versions.</param>
/// <param name="Url">Where it is; relative to the index, perhaps.</param>
/// <param name="Published">When it was uploaded, if that is told.</param>
internal sealed record PythonFile(string Name, string Project, string Version, string Url, DateTimeOffset? Published)
{
    private static readonly string[] Metadata = ["data-core-metadata", "data-dist-info-metadata"];

    private JsonMembers Members { get; init; } = null!;

    private ReadOnlyMemory<byte> Text { get; init; }

    /// <summary>Reads an array of files; what is none is left out.</summary>
    /// <param name="array">Of objects.</param>
    /// <param name="time">What the member is called that tells the time.</param>
    public static IEnumerable<PythonFile> ReadAll(ReadOnlyMemory<byte> array, string time)
    {
        foreach (var text in JsonMembers.Elements(array))
        {
            if (JsonMembers.TryRead(text, out var members) && members.Text("filename") is { Length: > 0 } name && members.Text("url") is { Length: > 0 } url)
            {
                var (project, _, version) = PythonAddress.FileOf(name) ?? ("", name, "");
                yield return new PythonFile(name, project, version, url, members.Time(time)) { Members = members, Text = text };
            }
        }
    }

    public static void Write(Utf8JsonWriter json, IEnumerable<PythonFile> files)
    {
        json.WriteStartArray();
        foreach (var file in files)
            json.WriteRawValue(file.Text.Span, skipInputValidation: true);
        json.WriteEndArray();
    }

    public void WriteLink(StringBuilder page)
    {
        page.Append("    <a href=\"").Append(WebUtility.HtmlEncode(Url.Split('#')[0] + Fragment())).Append('"');
        if (Members.Text("requires-python") is { Length: > 0 } python)
            page.Append(" data-requires-python=\"").Append(WebUtility.HtmlEncode(python)).Append('"');
        // PEP 714: the second name is what older clients read.
        if ((Members["core-metadata"] ?? Members["dist-info-metadata"]) is { } beside && MetadataOf(beside) is { } metadata)
        {
            foreach (var attribute in Metadata)
                page.Append(' ').Append(attribute).Append("=\"").Append(WebUtility.HtmlEncode(metadata)).Append('"');
        }

        if (Members["yanked"] is { } yanked && !yanked.Span.SequenceEqual("false"u8))
            page.Append(" data-yanked=\"").Append(WebUtility.HtmlEncode(JsonMembers.TextOf(yanked) ?? "")).Append('"');
        page.Append('>').Append(WebUtility.HtmlEncode(Name)).Append("</a><br />\n");
    }

    private string Fragment() =>
        Members["hashes"] is { } hashes && JsonMembers.TryRead(hashes, out var read) && HashOf(read) is { } hash ? "#" + hash : "";

    private static string? MetadataOf(ReadOnlyMemory<byte> value) =>
        value.Span.SequenceEqual("true"u8) ? "true" : JsonMembers.TryRead(value, out var hashes) ? HashOf(hashes) ?? "true" : null;

    private static string? HashOf(JsonMembers hashes)
    {
        var name = hashes.Text("sha256") is not null ? "sha256" : hashes.All.Select(h => h.Name).FirstOrDefault();
        return name is not null && hashes.Text(name) is { } value ? $"{name}={value}" : null;
    }
}
