using Discobot.Tests.Fixtures;

namespace Discobot.Features.Egress.Dns;

public sealed class DnsOptionsTests : IAsyncDisposable
{
    private const int Cname = 5, Mx = 15, Txt = 16;

    // Preference 10, and a pointer to the name that was asked for.
    private const string Mail = "000A046D61696CC00C";

    private readonly RunningResolver _resolver = new();

    public ValueTask DisposeAsync() => _resolver.DisposeAsync();

    [Theory]
    [InlineData("[]", false)]
    [InlineData("[TXT]", false)]
    [InlineData("[TXT, MX]", true)]
    [InlineData("mx", true)]
    [InlineData("[TYPE15]", true)]
    public async Task Where_it_is_enforced_other_types_are_answered_that_the_operator_named(string types, bool expected)
    {
        _resolver.Say((Mx, Mail));
        var (code, records) = await _resolver.AskAsync(Mx, "enforce", types);
        Assert.Equal(0, code);
        Assert.Equal(expected ? [(Mx, Mail)] : [], records);
        Assert.Equal(expected ? [DnsType.Mx] : [], _resolver.Asked);
    }

    [Theory]
    [InlineData("other.test", 3)]
    [InlineData("allowed.test.other.test", 3)]
    [InlineData("a b.allowed.test", 3)]
    [InlineData("localhost", 0)]
    public async Task Names_that_no_rule_allows_are_asked_for_nowhere_whatever_the_type(string name, int expected)
    {
        _resolver.Say((Mx, Mail));
        var (code, records) = await _resolver.AskAsync(Mx, "enforce", "[MX]", name);
        Assert.Equal((expected, 0), (code, records.Length));
        Assert.Empty(_resolver.Asked);
    }

    /// <summary>An address that comes along was judged by nobody.</summary>
    [Fact]
    public async Task Nothing_but_the_type_and_the_aliases_before_it_is_passed_on()
    {
        (int, string)[] said = [(Cname, "03777777C00C"), (Txt, "0161"), (1, "0A000001"), (Txt, "0162")];
        _resolver.Say(said);
        Assert.Equal(said[..2], (await _resolver.AskAsync(Txt, "enforce", "[TXT]")).Records);
        Assert.Equal(said, (await _resolver.AskAsync(Txt, "redirect")).Records);
    }

    [Fact]
    public async Task What_does_not_fit_into_a_datagram_is_had_over_TCP()
    {
        var text = string.Concat(Enumerable.Repeat("FF" + new string('4', 510), 8));
        _resolver.Say((Txt, text));
        Assert.Equal([(Txt, text)], (await _resolver.AskAsync(Txt, "enforce", "[TXT]")).Records);
    }
}
