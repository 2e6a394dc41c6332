using System.Diagnostics;

namespace Discobot.Features.Cache.Contents;

public sealed class KeyPatternTests
{
    [Theory]
    [InlineData("registry.test/v2/a/blobs/x", true)]
    [InlineData("https://registry.test/v2/a/blobs/x", true)]
    [InlineData("registry.test/*", true)]
    [InlineData("*", true)]
    [InlineData("*/blobs/?", true)]
    [InlineData("*a*b*x*", true)]
    [InlineData("registry.test", false)]
    [InlineData("registry.test/v2", false)]
    [InlineData("http://registry.test/*", false)]
    [InlineData("*/blobs/??", false)]
    [InlineData("Registry.test/*", false)]
    [InlineData("registry.test/v2/a/blobs/x?", false)]
    public void A_star_is_any_run_and_the_whole_address_has_to_match(string pattern, bool matches)
    {
        Assert.True(KeyPattern.TryParse(pattern, out var parsed));
        Assert.Equal(matches, parsed.Matches("registry.test/v2/a/blobs/x"));
    }

    [Fact]
    public void What_is_empty_or_endless_is_no_pattern()
    {
        Assert.False(KeyPattern.TryParse("", out _));
        Assert.False(KeyPattern.TryParse(null, out _));
        Assert.False(KeyPattern.TryParse(new string('a', 2049), out _));
    }

    [Fact]
    public void No_pattern_takes_longer_than_its_length_times_the_keys()
    {
        Assert.True(KeyPattern.TryParse(string.Concat(Enumerable.Repeat("*a", 1000)) + "b", out var pattern));
        var started = Stopwatch.GetTimestamp();
        Assert.False(pattern.Matches(new string('a', 8000)));
        Assert.True(Stopwatch.GetElapsedTime(started) < TimeSpan.FromSeconds(5));
    }
}
