namespace Discobot.Features.Init.Session;

public sealed class CacheMountsTests
{
    [Fact]
    public void The_page_names_each_of_them()
    {
        var page = File.ReadAllText(Path.Combine(Tests.Fixtures.Checkout.Top(), "docs/init.md"));
        var section = page[page.IndexOf("\n## Shared caches\n", StringComparison.Ordinal)..page.IndexOf("\n## Docker inside\n", StringComparison.Ordinal)];
        Assert.Equal(
            CacheMounts.Paths.Order(StringComparer.Ordinal),
            section.Split('\n').Where(line => line.StartsWith("    ", StringComparison.Ordinal)).SelectMany(line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries)).Order(StringComparer.Ordinal));
    }

    [Theory]
    [InlineData("/home/discobot/.cache/x", ".cache/x")]
    [InlineData("/home/discobot//a//b/", "a/b")]
    [InlineData("/home/discobot", null)]
    [InlineData("/home/discobot/", null)]
    [InlineData("/home/discobot/../../etc", null)]
    [InlineData("/home/discobot/./x", null)]
    [InlineData("/home/discobots/x", null)]
    [InlineData("/etc", null)]
    [InlineData("relative", null)]
    [InlineData("/home/discobot/a\nb", null)]
    public void Only_paths_strictly_below_the_home_are_taken(string path, string? expected) => Assert.Equal(expected, CacheMounts.Within(path));
}
