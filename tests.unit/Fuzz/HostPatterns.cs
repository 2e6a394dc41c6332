using System.Text;
using Discobot.Features.Allowlist;
using Discobot.Infrastructure.Hosts;

namespace Discobot.Fuzz;

/// <summary>
/// Patterns and the decision of the allowlist. The first line of an input is a host, every other a pattern or a range; a naive reading
/// of what the user wrote says what must be decided.
/// </summary>
public sealed class HostPatterns : FuzzTarget
{
    protected override string[] Words =>
    [
        "*", "*.", ".*", "\n", "example.com", "api", "www", "com", "a", "A", ".", "10", "10.0.0.0/8", "::/0", "::ffff:10.0.0.1", "64:ff9b::10.0.0.1", "127.0.0.1",
        "2130706433", "bücher", "xn--bcher-kva", "[::1]", "2001:db8::/32", "x",
    ];

    protected override void Check(byte[] input)
    {
        var lines = Encoding.UTF8.GetString(input).Split('\n');
        if (lines.Length > 200 || !CanonicalHost.TryParse(lines[0], out var host))
            return;
        var patterns = new List<HostPattern>();
        var ranges = new List<IpRange>();
        foreach (var line in lines[1..])
        {
            if (HostPattern.TryParse(line, out var pattern))
                patterns.Add(CheckPattern(line, pattern));
            if (IpRange.TryParse(line, out var range))
                ranges.Add(range);
        }

        foreach (var pattern in patterns)
            Assert.Equal(Matches(pattern.Text, host), pattern.Matches(host));
        CheckOrder(patterns, host);
        CheckDecision(patterns, ranges, host);
    }

    private static HostPattern CheckPattern(string line, HostPattern pattern)
    {
        Assert.Equal(line, pattern.Text);
        var canonical = pattern.Kind switch
        {
            HostPatternKind.Any => "*",
            HostPatternKind.Suffix => $"*.{pattern.Name}",
            HostPatternKind.Prefix => $"{pattern.Name}.*",
            _ => pattern.Name,
        };
        Assert.True(HostPattern.TryParse(canonical, out var again));
        Assert.Equal((pattern.Kind, pattern.Name), (again.Kind, again.Name));
        return pattern;
    }

    private static void CheckOrder(List<HostPattern> patterns, CanonicalHost host)
    {
        var set = new HostPatternSet<int>(patterns.Select((p, i) => KeyValuePair.Create(p, i)));
        var expected = patterns.Select((p, i) => (Pattern: p, Index: i)).Where(p => Matches(p.Pattern.Text, host))
            .OrderBy(p => p.Pattern.Kind == HostPatternKind.Exact ? 0 : 1).ThenByDescending(p => p.Pattern.Name.Length).Select(p => p.Index);
        Assert.Equal(expected, set.FindAll(host));
    }

    private static void CheckDecision(List<HostPattern> patterns, List<IpRange> ranges, CanonicalHost host)
    {
        var rules = new AllowlistRules(new AllowlistOptions
        {
            Enabled = true,
            Domains = [.. patterns.Select(p => new DomainRule(p, [], []))],
            Ips = [.. ranges],
        });
        var named = patterns.Any(p => Matches(p.Text, host) && (host.Address is null || !p.Text.Contains('*', StringComparison.Ordinal)));
        var ranged = host.Address is { } literal && EmbeddedAddresses.Of(literal).All(e =>
            ranges.Any(r => r.Contains(e)) || (SpecialAddresses.ClassifyPlain(e) == AddressKind.Public && ranges.Any(r => r.Contains(literal))));
        Assert.Equal(named || ranged, rules.JudgeHost(host, 443).Allowed);
        Assert.Equal(named || ranged, rules.JudgeBlind(host, 22, isKnownRaw: true).Allowed);
        Assert.Equal(named || ranged, rules.JudgeRequest(host, 443, "GET", new AskedPath("/x", "")).Allowed);
    }

    // Label by label, as docs/allowlist.md says it.
    private static bool Matches(string pattern, CanonicalHost host)
    {
        if (pattern == "*")
            return true;
        var wild = pattern.StartsWith("*.", StringComparison.Ordinal) ? -1 : pattern.EndsWith(".*", StringComparison.Ordinal) ? 1 : 0;
        if (wild == 0)
            return CanonicalHost.TryParse(pattern, out var exact) && exact == host;
        // A label beside it keeps what is left of the pattern from being read as a number.
        var rest = wild < 0 ? "x." + pattern[2..] : pattern[..^2] + ".x";
        if (host.IsLiteral || !CanonicalHost.TryParse(rest, out var named))
            return false;
        var (has, wants) = (host.Name.Split('.'), named.Name.Split('.'));
        return has.Length >= wants.Length
            && (wild < 0 ? has.TakeLast(wants.Length - 1).SequenceEqual(wants.Skip(1)) : has.Take(wants.Length - 1).SequenceEqual(wants.SkipLast(1)));
    }
}
