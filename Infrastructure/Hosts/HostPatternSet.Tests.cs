using CsCheck;

namespace Discobot.Infrastructure.Hosts;

public class HostPatternSetTests
{
    [Theory]
    [InlineData("*", "example.com", true)]
    [InlineData("*", "10.0.0.1", true)]
    [InlineData("example.com", "example.com", true)]
    [InlineData("EXAMPLE.com.", "example.com", true)]
    [InlineData("example.com", "www.example.com", false)]
    [InlineData("*.example.com", "www.example.com", true)]
    [InlineData("*.example.com", "a.b.example.com", true)]
    [InlineData("*.example.com", "example.com", false)]
    [InlineData("*.example.com", "badexample.com", false)]
    [InlineData("*.bücher.example", "www.xn--bcher-kva.example", true)]
    [InlineData("api.*", "api.example.com", true)]
    [InlineData("api.*", "api", false)]
    [InlineData("api.*", "apis.example.com", false)]
    [InlineData("api.*", "www.api.example.com", false)]
    [InlineData("10.*", "10.0.0.1", false)]
    [InlineData("10.0.0.1", "10.0.0.1", true)]
    [InlineData("[::1]", "::1", true)]
    [InlineData("127.0.0.1", "2130706433", true)]
    public void A_pattern_matches_what_it_says(string pattern, string host, bool matches)
    {
        Assert.Equal(matches, Parse(pattern).Matches(Host(host)));
        Assert.Equal(matches, new HostPatternSet<int>([new(Parse(pattern), 1)]).TryFind(Host(host), out _));
    }

    [Theory]
    [InlineData("")]
    [InlineData("*.")]
    [InlineData(".*")]
    [InlineData("**")]
    [InlineData("a.*.com")]
    [InlineData("*.a.*")]
    [InlineData("*a.com")]
    [InlineData("*.*")]
    [InlineData("*.10.0.0.1")]
    [InlineData("http://example.com")]
    [InlineData("example.com:443")]
    [InlineData("example.com/path")]
    public void Other_shapes_are_refused(string pattern) => Assert.False(HostPattern.TryParse(pattern, out _));

    [Fact]
    public void The_most_specific_pattern_wins_whatever_the_order()
    {
        string[] patterns = ["*", "*.com", "api.*", "*.example.com", "api.example.com", "*.api.example.com"];
        Gen.Shuffle(patterns).Sample(order =>
        {
            var set = Set(order);
            Assert.Equal(["api.example.com", "*.example.com"], set.FindAll(Host("api.example.com")).Take(2));
            Assert.True(set.TryFind(Host("x.api.example.com"), out var best));
            Assert.Equal("*.api.example.com", best);
            Assert.True(set.TryFind(Host("elsewhere.org"), out best));
            Assert.Equal("*", best);
        }, iter: 50);
    }

    [Fact]
    public void Equally_specific_patterns_keep_the_order_of_the_file()
    {
        Assert.Equal(["api.*", "*.com"], Set("api.*", "*.com").FindAll(Host("api.com.com")));
        Assert.Equal(["*.com", "api.*"], Set("*.com", "api.*").FindAll(Host("api.com.com")));
        Assert.Equal(["Example.com", "example.com"], Set("Example.com", "example.com").FindAll(Host("example.com")));
    }

    [Fact]
    public void The_set_finds_what_a_walk_through_all_patterns_finds()
    {
        var label = Gen.OneOf(Gen.Const("a"), Gen.Const("b"), Gen.Const("com"), Gen.Const("x1"));
        var host = label.Array[1, 5].Select(l => string.Join('.', l));
        var pattern = Gen.OneOf(Gen.Const("*"), host, host.Select(h => "*." + h), host.Select(h => h + ".*"), Gen.Const("10.0.0.1"));
        Gen.Select(pattern.Array[0, 30], Gen.OneOf(host, Gen.Const("10.0.0.1"))).Sample((patterns, name) =>
        {
            var parsed = patterns.Select(Parse).ToList();
            var target = Host(name);
            var expected = parsed.Select((p, i) => (p, i)).Where(x => x.p.Matches(target))
                .OrderBy(x => x.p, Comparer<HostPattern>.Create(HostPattern.CompareSpecificity)).Select(x => x.i).ToList();
            var set = new HostPatternSet<int>(parsed.Select((p, i) => KeyValuePair.Create(p, i)));
            Assert.Equal(expected, set.FindAll(target));
            Assert.Equal(expected.Count > 0, set.TryFind(target, out var best));
            Assert.True(expected.Count == 0 || expected[0] == best);
        }, iter: 2000);
    }

    private static HostPatternSet<string> Set(params string[] patterns) => new(patterns.Select(p => KeyValuePair.Create(Parse(p), p)));

    private static HostPattern Parse(string text) =>
        HostPattern.TryParse(text, out var pattern) ? pattern : throw new FormatException(text);

    private static CanonicalHost Host(string text) =>
        CanonicalHost.TryParse(text, out var host) ? host : throw new FormatException(text);
}
