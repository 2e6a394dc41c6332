using System.Diagnostics.CodeAnalysis;
using System.Net;
using System.Text;
using System.Text.Json;
using Discobot.Features.Packages.Documents;

namespace Discobot.Features.Packages.Python;

/// <summary>The files of a project as its index tells them in JSON (PEP 691, 700), from which either form is written.</summary>
internal sealed class SimpleIndex
{
    private readonly JsonMembers _members;
    private readonly List<PythonFile> _files;

    private SimpleIndex(JsonMembers members, List<PythonFile> files) => (_members, _files) = (members, files);

    public IReadOnlyList<PythonFile> Files => _files;

    public static bool TryRead(ReadOnlyMemory<byte> text, [NotNullWhen(true)] out SimpleIndex? index)
    {
        index = JsonMembers.TryRead(text, out var members) && members["files"] is { } files && members["meta"] is not null
            ? new SimpleIndex(members, [.. PythonFile.ReadAll(files, "upload-time")]) : null;
        return index is not null;
    }

    /// <summary>The index without the files that are not shown, as JSON.</summary>
    public byte[] ToJson(Func<PythonFile, bool> shows) => _members.With((json, name, value) =>
    {
        if (name == "files")
            PythonFile.Write(json, _files.Where(shows));
        else if (name == "versions")
            WriteVersions(json, value, shows);
        else
            return false;
        return true;
    });

    /// <summary>The same as a page of links (PEP 503, 592, 629, 658, 714).</summary>
    public byte[] ToHtml(Func<PythonFile, bool> shows)
    {
        var title = WebUtility.HtmlEncode($"Links for {_members.Text("name")}");
        var page = new StringBuilder("<!DOCTYPE html>\n<html>\n  <head>\n    <meta name=\"pypi:repository-version\" content=\"1.1\">\n")
            .Append("    <title>").Append(title).Append("</title>\n  </head>\n  <body>\n    <h1>").Append(title).Append("</h1>\n");
        foreach (var file in _files.Where(shows))
            file.WriteLink(page);
        return Encoding.UTF8.GetBytes(page.Append("  </body>\n</html>\n").ToString());
    }

    // A version goes with the last of its files.
    private void WriteVersions(Utf8JsonWriter json, ReadOnlyMemory<byte> versions, Func<PythonFile, bool> shows)
    {
        var left = _files.Where(shows).Select(f => f.Version).ToHashSet(StringComparer.OrdinalIgnoreCase);
        var gone = _files.Where(f => !shows(f)).Select(f => f.Version).Where(v => !left.Contains(v)).ToHashSet(StringComparer.OrdinalIgnoreCase);
        json.WriteStartArray();
        foreach (var version in JsonMembers.Elements(versions))
        {
            if (JsonMembers.TextOf(version) is { } text && !gone.Contains(text))
                json.WriteRawValue(version.Span, skipInputValidation: true);
        }

        json.WriteEndArray();
    }
}
