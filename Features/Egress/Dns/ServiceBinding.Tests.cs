using System.Net;
using CsCheck;
using Discobot.Tests.Fixtures;

namespace Discobot.Features.Egress.Dns;

public sealed class ServiceBindingTests : IAsyncDisposable
{
    private const int Https = 65;

    // A priority, and the record's own name as the target.
    private const string Own = "0001 00 ";

    // What servers often say: h3 and h2, a port, addresses, and keys for hidden names.
    private const string Usual = Own + "0001 0006 026833 026832 0003 0002 01BB 0004 0004 CB007107 0005 0004 FE0D0000 0006 0010 20010DB8000000000000000000000001";

    private readonly RunningResolver _resolver = new();

    public ValueTask DisposeAsync() => _resolver.DisposeAsync();

    [Theory]
    [InlineData("enforce", 65)]
    [InlineData("enforce", 64)]
    [InlineData("redirect", 65)]
    [InlineData("redirect", 64)]
    public async Task Keys_for_hidden_names_QUIC_and_addresses_are_left_out_and_the_rest_is_as_it_was(string mode, int type)
    {
        _resolver.Say((type, Usual));
        await AnswersAsync(type, mode, "[]", Own + "0001 0003 026832 0003 0002 01BB");
        Assert.Equal([(DnsType)type], _resolver.Asked);
        Assert.Null(_resolver.Learned.Find(IPAddress.Parse("203.0.113.7")));
    }

    /// <summary>Also where somebody names the type.</summary>
    [Fact]
    public async Task They_are_left_out_whatever_types_are_named()
    {
        _resolver.Say((Https, Usual));
        await AnswersAsync(Https, "enforce", "[HTTPS, TYPE65]", Own + "0001 0003 026832 0003 0002 01BB");
    }

    [Theory]
    [InlineData("0001 0003 026833", "")]
    [InlineData("0001 0006 0568332D3239", "")]
    [InlineData("0001 0009 026832 0568332D3239", "0001 0003 026832")]
    [InlineData("0001 000D 08687474702F312E31 03646F71", "0001 0009 08687474702F312E31")]
    [InlineData("0000 0002 0001 0001 0006 026833 026832", "0000 0002 0001 0001 0003 026832")]
    [InlineData("0001 0003 026832 0002 0000", "0001 0003 026832 0002 0000")]
    [InlineData("0007 0004 2F717B7D FF00 0002 ABCD", "0007 0004 2F717B7D FF00 0002 ABCD")]
    [InlineData("", "")]
    public async Task What_is_left_stands_as_it_was(string parameters, string expected)
    {
        _resolver.Say((Https, Own + parameters));
        await AnswersAsync(Https, "enforce", "[]", Own + expected);
    }

    /// <summary>Keys that are demanded and were left out, and services of QUIC alone.</summary>
    [Theory]
    [InlineData("0000 0002 0005 0005 0004 FE0D0000")]
    [InlineData("0000 0002 0004 0004 0004 CB007107")]
    [InlineData("0000 0002 0001 0001 0003 026833")]
    [InlineData("0001 0003 026833 0002 0000")]
    [InlineData("0002 0000")]
    public async Task A_record_that_cannot_be_used_without_what_was_left_out_is_left_out_itself(string parameters)
    {
        _resolver.Say((Https, Own + parameters), (Https, "0002 00 0003 0002 20FB"));
        await AnswersAsync(Https, "enforce", "[]", "0002 00 0003 0002 20FB");
    }

    [Theory]
    [InlineData("0000 03737663 07616C6C6F776564 0474657374 00", "0000 03737663 07616C6C6F776564 0474657374 00")]
    [InlineData("0000 03737663 07616C6C6F776564 0474657374 00 0001 0003 026832", "0000 03737663 07616C6C6F776564 0474657374 00")]
    [InlineData("0000 00", "0000 00")]
    [InlineData("0000 07616C6C6F776564 0474657374 00", "0000 07616C6C6F776564 0474657374 00")]
    [InlineData("0001 03535643 07616C6C6F776564 0474657374 00 0003 0002 20FB", "0001 03737663 07616C6C6F776564 0474657374 00 0003 0002 20FB")]
    [InlineData("0000 03737663 056F74686572 0474657374 00", null)]
    [InlineData("0001 03737663 056F74686572 0474657374 00 0003 0002 20FB", null)]
    public async Task Another_name_is_told_where_a_rule_allows_it(string said, string? expected)
    {
        _resolver.Say((Https, said));
        await AnswersAsync(Https, "enforce", "[]", expected is null ? [] : [expected]);
    }

    /// <summary>Clients are to count none of a name's records then (RFC 9460, 2.2), and go on with addresses.</summary>
    [Theory]
    [InlineData("")]
    [InlineData("00")]
    [InlineData("0001")]
    [InlineData("0001 03616263")]
    [InlineData("0001 C00C")]
    [InlineData("0001 03612E62 00")]
    [InlineData("0001 00 00")]
    [InlineData("0001 00 000100")]
    [InlineData("0001 00 0001 0003 0268")]
    [InlineData("0001 00 0001 FFFF 026832")]
    [InlineData("0001 00 0001 0000")]
    [InlineData("0001 00 0001 0003 036832")]
    [InlineData("0001 00 0001 0004 00026832")]
    [InlineData("0001 00 0003 0002 01BB 0001 0003 026832")]
    [InlineData("0001 00 0003 0002 01BB 0003 0002 01BB")]
    [InlineData("0001 00 0000 0000")]
    [InlineData("0001 00 0000 0001 03")]
    [InlineData("0001 00 0000 0002 0000")]
    [InlineData("0001 00 0000 0002 0003")]
    [InlineData("0001 00 0000 0004 00030003 0003 0002 01BB")]
    [InlineData("0001 00 0002 0001 00")]
    [InlineData("0001 00 0003 0001 50")]
    [InlineData("0001 00 0004 0003 CB0071")]
    [InlineData("0001 00 0006 0004 20010DB8")]
    public async Task A_malformed_record_leaves_the_name_without_any(string malformed)
    {
        _resolver.Say((Https, Usual), (Https, malformed), (Https, Usual));
        await AnswersAsync(Https, "enforce", "[]");
    }

    [Fact]
    public async Task Of_services_no_more_is_kept_than_has_a_use()
    {
        var long1 = Own + "FF00 0C00 " + new string('A', 0x1800);
        _resolver.Say((Https, long1));
        await AnswersAsync(Https, "enforce", "[]", long1);
        _resolver.Say((Https, long1), (Https, long1));
        await AnswersAsync(Https, "enforce", "[]");
    }

    [Fact]
    public void No_bytes_break_the_reader() => Gen.Byte.Array[0, 120].Sample(bytes =>
    {
        if (!ServiceBinding.TryRead(bytes, out var binding) || binding is null)
            return;
        Assert.True(ServiceBinding.TryRead(binding.ToBytes(), out var again));
        Assert.Equal(binding.ToBytes(), again!.ToBytes());
    });

    private async Task AnswersAsync(int type, string mode, string types, params string[] expected)
    {
        var (code, records) = await _resolver.AskAsync(type, mode, types);
        Assert.Equal(0, code);
        Assert.Equal(expected.Select(hex => (type, Convert.ToHexString(RunningResolver.Bytes(hex)))), records);
    }
}
