using System.Text.Json;
using Discobot.Features.Cache.Hashes;

namespace Discobot.Fuzz;

/// <summary>What indexes say of the hashes of files, as JSON of npm's and Python's, as pages of links, as lines of crates: it is read in one way, or not at all.</summary>
public sealed class IndexHashDocuments : FuzzTarget
{
    private static readonly string[] Ecosystems = ["npm", "pypi", "crates"];

    protected override string[] Words =>
    [
        "{", "}", "[", "]", ":", ",", "\"", "\n", "<a ", "</a>", "href=\"", "href='x'", "#sha256=", "#md5=", "data-core-metadata=\"sha256=", "data-dist-info-metadata=", "<!--", "-->", "&quot;", "&#35;",
        "\"dist\"", "\"versions\"", "\"integrity\"", "\"shasum\"", "\"tarball\"", "\"sha512-AA==\"", "\"files\"", "\"urls\"", "\"releases\"", "\"url\"", "\"hashes\"", "\"digests\"", "\"sha256\"", "\"core-metadata\"",
        "\"name\"", "\"vers\"", "\"cksum\"", "null", "true", "1e999", "\"\\ud800\"", "{}", "[]", "[[[[[[[[",
    ];

    protected override void Check(byte[] input)
    {
        foreach (var ecosystem in Ecosystems)
        {
            var files = Read(ecosystem, input);
            Assert.Equal(files, Read(ecosystem, [.. input, (byte)'\n']));
            if (files is null)
                continue;
            // A file is named in some bytes of its own: nothing makes more of them than there are.
            Assert.True(files.Count <= input.Length, $"{files.Count} files in {input.Length} bytes");
            Assert.All(files, f => Assert.NotNull(f.Url));
        }
    }

    private static List<NamedFile>? Read(string ecosystem, byte[] text)
    {
        try
        {
            return IndexDocument.Read(ecosystem, text);
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            return null;
        }
    }
}
