using System.Text;
using System.Text.Json;
using Discobot.Features.Packages.Documents;
using Discobot.Features.Packages.Npm;

namespace Discobot.Fuzz;

/// <summary>
/// Documents of npm's packages, of which versions are left out. What is written is JSON that says the same of what is shown, and nothing of what is
/// not, whatever the document repeats, escapes or leaves out.
/// </summary>
public sealed class NpmDocuments : FuzzTarget
{
    private static readonly DateTimeOffset Cutoff = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    protected override string[] Words =>
    [
        "{", "}", "[", "]", ":", ",", "\"", "\"versions\"", "\"versi\\u006fns\"", "\"time\"", "\"modified\"", "\"created\"", "\"dist-tags\"", "\"latest\"", "\"next\"", "\"deprecated\"",
        "\"1.0.0\"", "\"1.0.1\"", "\"2.0.0\"", "\"2.0.0-rc.1\"", "\"1.0.0-0\"", "\"1.0.0+b\"", "\"2\\u002e0.0\"", "\"2025-01-01T00:00:00.000Z\"", "\"2026-06-01T00:00:00.000Z\"", "\"9999\"",
        "null", "true", "1e999", "\"\\ud800\"", "\\ud800", "\ufeff", "//", "/*", "é", "\"__proto__\"", "{}", "[]", "\"\"", "[[[[[[[[",
    ];

    protected override void Check(byte[] input)
    {
        CheckOrder(Encoding.UTF8.GetString(input));
        if (!NpmDocument.TryRead(input, out var document))
            return;
        var times = document.Times();
        bool Shows(string version) => times.GetValueOrDefault(version) < Cutoff;
        var written = document.Without(Shows, Cutoff);
        Assert.True(NpmDocument.TryRead(written, out var shown), Encoding.UTF8.GetString(written));
        Assert.Equal(times.Keys.Where(Shows).Order(StringComparer.Ordinal), shown.Times().Keys.Order(StringComparer.Ordinal));
        Assert.All(shown.Times().Keys, v => Assert.True(document.Version(v)!.Value.Span.SequenceEqual(shown.Version(v)!.Value.Span)));
        // What was never a version is the registry's own matter.
        Assert.All(shown.Tags(Shows), t => Assert.True(Shows(t.Value) || document.Version(t.Value) is null, t.Value));
        Assert.Equal(written, shown.Without(Shows, Cutoff));
        JsonDocument.Parse(written).Dispose();
    }

    private static void CheckOrder(string text)
    {
        var versions = text.Split('"').Select(t => SemanticVersion.TryParse(t, out var v) ? v : null).OfType<SemanticVersion>().Take(6).ToArray();
        foreach (var a in versions)
        {
            Assert.Equal(0, a.CompareTo(a));
            foreach (var b in versions)
            {
                Assert.Equal(Math.Sign(a.CompareTo(b)), -Math.Sign(b.CompareTo(a)));
                Assert.All(versions, c => Assert.False(a.CompareTo(b) <= 0 && b.CompareTo(c) <= 0 && a.CompareTo(c) > 0));
            }
        }
    }
}
