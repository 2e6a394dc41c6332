using System.Net;
using System.Text;
using System.Text.Json;

namespace Discobot.Features.Cache.Hashes;

/// <summary>A file as an index names it.</summary>
/// <param name="Url">Its address, relative to the index perhaps; of a crate <c>name/version</c>.</param>
/// <param name="Integrity">Of its bytes.</param>
internal readonly record struct NamedFile(string Url, string? Integrity);

/// <summary>What package registries' indexes say of the hashes of files. What says nothing of that in them is not looked at.</summary>
internal static class IndexDocument
{
    // Of one link; who writes longer ones is not understood.
    private const int MaxTag = 4096;

    private static readonly JsonReaderOptions Options = new() { MaxDepth = 256 };

    /// <exception cref="JsonException">It is no such document.</exception>
    /// <exception cref="InvalidOperationException">The same.</exception>
    public static List<NamedFile> Read(string ecosystem, ReadOnlySpan<byte> text)
    {
        var files = new List<NamedFile>();
        if (ecosystem == "crates")
            ReadCrates(text, files);
        else if (ecosystem == "npm")
            ReadVersions(text, files);
        else if (text.TrimStart(" \t\r\n"u8) is [(byte)'{', ..])
            ReadProject(text, files);
        else
            ReadLinks(Encoding.UTF8.GetString(text), files);
        return files;
    }

    // A packument, or the document of one version.
    private static void ReadVersions(ReadOnlySpan<byte> text, List<NamedFile> files)
    {
        var reader = Open(text);
        while (NextMember(ref reader))
        {
            if (reader.ValueTextEquals("dist"u8))
            {
                reader.Read();
                ReadDist(ref reader, files);
            }
            else if (reader.ValueTextEquals("versions"u8) && reader.Read() && reader.TokenType == JsonTokenType.StartObject)
            {
                while (NextMember(ref reader))
                {
                    reader.Read();
                    ReadVersion(ref reader, files);
                }
            }
            else
            {
                reader.Skip();
            }
        }
    }

    private static void ReadVersion(ref Utf8JsonReader reader, List<NamedFile> files)
    {
        if (reader.TokenType != JsonTokenType.StartObject)
        {
            reader.Skip();
            return;
        }

        while (NextMember(ref reader))
        {
            var isDist = reader.ValueTextEquals("dist"u8);
            reader.Read();
            if (isDist)
                ReadDist(ref reader, files);
            else
                reader.Skip();
        }
    }

    private static void ReadDist(ref Utf8JsonReader reader, List<NamedFile> files)
    {
        var dist = ReadTexts(ref reader);
        // npm takes the one and leaves the other aside, too.
        if (dist.GetValueOrDefault("tarball") is { } url)
            Add(files, url, dist.GetValueOrDefault("integrity") ?? Integrity.OfHex("sha1", dist.GetValueOrDefault("shasum")));
    }

    // PEP 691, and what PyPI has had before it.
    private static void ReadProject(ReadOnlySpan<byte> text, List<NamedFile> files)
    {
        var reader = Open(text);
        while (NextMember(ref reader))
        {
            var isList = reader.ValueTextEquals("files"u8) || reader.ValueTextEquals("urls"u8);
            reader.Read();
            if (!isList || reader.TokenType != JsonTokenType.StartArray)
            {
                reader.Skip();
                continue;
            }

            while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
            {
                var file = ReadTexts(ref reader);
                if (file.GetValueOrDefault("url") is not { } url)
                    continue;
                Add(files, url, Integrity.OfHex("sha256", file.GetValueOrDefault("hashes.sha256") ?? file.GetValueOrDefault("digests.sha256")));
                Add(files, url + ".metadata", Integrity.OfHex("sha256", file.GetValueOrDefault("core-metadata.sha256") ?? file.GetValueOrDefault("dist-info-metadata.sha256")));
            }
        }
    }

    private static void ReadCrates(ReadOnlySpan<byte> text, List<NamedFile> files)
    {
        foreach (var line in text.Split((byte)'\n'))
        {
            if (text[line].Trim(" \t\r"u8) is not [(byte)'{', ..] version)
                continue;
            var reader = new Utf8JsonReader(version, Options);
            reader.Read();
            var crate = ReadTexts(ref reader);
            if (crate.GetValueOrDefault("name") is { } name && crate.GetValueOrDefault("vers") is { } number)
                Add(files, $"{name.ToLowerInvariant()}/{number}", Integrity.OfHex("sha256", crate.GetValueOrDefault("cksum")));
        }
    }

    // PEP 503, 658 and 714.
    private static void ReadLinks(string page, List<NamedFile> files)
    {
        for (var at = 0; (at = page.IndexOf("<a", at, StringComparison.OrdinalIgnoreCase)) >= 0;)
        {
            var end = page.IndexOf('>', at, Math.Min(MaxTag, page.Length - at));
            var tag = page.AsSpan(at, (end < 0 ? at + 2 : end) - at);
            at += tag.Length;
            if (Attribute(tag, "href") is not { } href)
                continue;
            var url = href.Split('#')[0];
            Add(files, url, href.Contains('#', StringComparison.Ordinal) ? OfPair(href.Split('#')[1]) : null);
            Add(files, url + ".metadata", OfPair(Attribute(tag, "data-core-metadata") ?? Attribute(tag, "data-dist-info-metadata") ?? ""));
        }
    }

    private static string? OfPair(string text)
    {
        foreach (var part in text.Split('&'))
        {
            if (part.Split('=') is [var algorithm, var hash] && Integrity.OfHex(algorithm, hash) is { } integrity)
                return integrity;
        }

        return null;
    }

    private static string? Attribute(ReadOnlySpan<char> tag, string name)
    {
        if (tag.IndexOf(name, StringComparison.OrdinalIgnoreCase) is var at and >= 0
            && tag[(at + name.Length)..].TrimStart() is ['=', .. var rest] && rest.TrimStart() is [('"' or '\'') and var quote, .. var value]
            && value.IndexOf(quote) is var end and >= 0)
            return WebUtility.HtmlDecode(value[..end].ToString());
        return null;
    }

    // The texts of an object, and of the objects in it as "outer.inner". Leaves the reader at its end.
    private static Dictionary<string, string> ReadTexts(ref Utf8JsonReader reader, string prefix = "", Dictionary<string, string>? into = null)
    {
        into ??= [];
        if (reader.TokenType != JsonTokenType.StartObject)
        {
            reader.Skip();
            return into;
        }

        while (NextMember(ref reader))
        {
            var name = prefix + reader.GetString();
            reader.Read();
            if (reader.TokenType == JsonTokenType.String && reader.HasValueSequence is false && reader.ValueSpan.Length <= MaxTag)
                into[name] = reader.GetString()!;
            else if (reader.TokenType == JsonTokenType.StartObject && prefix.Length == 0)
                ReadTexts(ref reader, name + ".", into);
            else
                reader.Skip();
        }

        return into;
    }

    private static Utf8JsonReader Open(ReadOnlySpan<byte> text)
    {
        var reader = new Utf8JsonReader(text, Options);
        return reader.Read() && reader.TokenType == JsonTokenType.StartObject ? reader : throw new JsonException("it is no object");
    }

    private static bool NextMember(ref Utf8JsonReader reader) => reader.Read() && reader.TokenType == JsonTokenType.PropertyName;

    private static void Add(List<NamedFile> files, string url, string? integrity)
    {
        if (integrity is not null)
            files.Add(new NamedFile(url, integrity));
    }
}
