using System.Text;
using System.Text.Json;
using Discobot.Features.Packages.Crates;
using Discobot.Features.Packages.Python;

namespace Discobot.Fuzz;

/// <summary>Indexes of Python projects and of crates, of which files or versions are left out: what is shown is as it was, what is not is gone.</summary>
public sealed class PackageIndexes : FuzzTarget
{
    private static readonly DateTimeOffset Cutoff = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    protected override string[] Words =>
    [
        "{", "}", "[", "]", ":", ",", "\"", "\n", "\"files\"", "\"meta\"", "\"versions\"", "\"filename\"", "\"url\"", "\"hashes\"", "\"sha256\"", "\"upload-time\"", "\"yanked\"", "\"core-metadata\"",
        "\"info\"", "\"urls\"", "\"releases\"", "\"upload_time_iso_8601\"", "\"vers\"", "\"cksum\"", "\"pubtime\"", "\"a-1.0.tar.gz\"", "\"a-1.0-py3-none-any.whl\"", "\"/x#sha256=1\"", "\"\\u0022><a href=x>\"",
        "\"2025-01-01T00:00:00Z\"", "\"2026-06-01T00:00:00.000000Z\"", "true", "false", "null", "\"\\ud800\"", "{}", "[]", "\r\n",
    ];

    protected override void Check(byte[] input)
    {
        if (SimpleIndex.TryRead(input, out var index))
            CheckIndex(index);
        if (ProjectDescription.TryRead(input, out var told))
        {
            var written = told.Without(f => f.Published < Cutoff, null);
            Assert.True(ProjectDescription.TryRead(written, out var shown), Encoding.UTF8.GetString(written));
            Assert.All(shown.Files, f => Assert.True(f.Published < Cutoff));
        }

        if (IndexFile.Read(input) is { } file)
        {
            var left = file.Without(p => p < Cutoff);
            Assert.Equal(file.Times().Values.Any(p => p < Cutoff), left.Length > 0);
            Assert.Equal(left, IndexFile.Read(left)?.Without(p => p < Cutoff) ?? []);
        }
    }

    private static void CheckIndex(SimpleIndex index)
    {
        var written = index.ToJson(f => f.Published < Cutoff);
        JsonDocument.Parse(written).Dispose();
        Assert.True(SimpleIndex.TryRead(written, out var shown), Encoding.UTF8.GetString(written));
        Assert.Equal(index.Files.Where(f => f.Published < Cutoff).Select(f => (f.Name, f.Url)), shown.Files.Select(f => (f.Name, f.Url)));
        var page = Encoding.UTF8.GetString(index.ToHtml(f => f.Published < Cutoff));
        // One link a file: nothing in a name or an address becomes markup.
        Assert.Equal(shown.Files.Count, page.Split("<a ").Length - 1);
        Assert.Equal(shown.Files.Count, page.Split("</a>").Length - 1);
    }
}
