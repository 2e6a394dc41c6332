using System.Globalization;
using System.Net;
using CsCheck;

namespace Discobot.Infrastructure.Hosts;

public class CanonicalHostTests
{
    [Theory]
    [InlineData("2130706433")]
    [InlineData("0x7f000001")]
    [InlineData("0X7F.1")]
    [InlineData("017700000001")]
    [InlineData("0177.0.0.01")]
    [InlineData("127.1")]
    [InlineData("127.0.1")]
    [InlineData("127.0.0.1.")]
    [InlineData("::ffff:127.0.0.1")]
    [InlineData("[::FFFF:7f00:1]")]
    [InlineData("::ffff:127.0.0.1%lo")]
    [InlineData("１２７.0.0.1")]
    [InlineData("127。0。0。1")]
    [InlineData("0x７f．１")]
    public void Every_spelling_of_127_0_0_1_is_that_address(string text)
    {
        Assert.True(CanonicalHost.TryParse(text, out var host));
        Assert.Equal(IPAddress.Loopback, host.Address);
        Assert.Equal("127.0.0.1", host.Name);
    }

    [Theory]
    [InlineData("Example.COM", "example.com")]
    [InlineData("example.com.", "example.com")]
    [InlineData("_srv.example.com", "_srv.example.com")]
    [InlineData("bücher.example", "xn--bcher-kva.example")]
    [InlineData("BÜCHER.example", "xn--bcher-kva.example")]
    [InlineData("ｅｘａｍｐｌｅ.com", "example.com")]
    [InlineData("xn--bcher-kva.example", "xn--bcher-kva.example")]
    [InlineData("xn--strae-oqa.example", "xn--strae-oqa.example")]
    [InlineData("xn--ls8h.example", "xn--ls8h.example")]
    [InlineData("r3---sn-x.example", "r3---sn-x.example")]
    [InlineData("1.example", "1.example")]
    [InlineData("0x.example", "0x.example")]
    [InlineData("fe80::1%eth0", "fe80::1")]
    [InlineData("[FE80::0:1%25eth0]", "fe80::1")]
    public void Names_and_literals_have_one_form(string text, string canonical)
    {
        Assert.True(CanonicalHost.TryParse(text, out var host));
        Assert.Equal(canonical, host.Name);
    }

    [Theory]
    [InlineData("")]
    [InlineData(".")]
    [InlineData("..")]
    [InlineData(".example.com")]
    [InlineData("example..com")]
    [InlineData("example.com..")]
    [InlineData("exa mple.com")]
    [InlineData("xn--")]
    [InlineData("a.XN--.b")]
    [InlineData("xn--99999999.example")]
    [InlineData("xn--a-.example")]
    [InlineData("exa\u00a0mple.com")]
    [InlineData("exa\u0085mple.com")]
    [InlineData("exa\u3000mple.com")]
    [InlineData("example.com/")]
    [InlineData("example.com\0.evil")]
    [InlineData("user@example.com")]
    [InlineData("1.2.3.4.5")]
    [InlineData("256.0.0.1")]
    [InlineData("4294967296")]
    [InlineData("foo.0x7f")]
    [InlineData("foo.1")]
    [InlineData("09.1.1.1")]
    [InlineData("[127.0.0.1]")]
    [InlineData("[::1")]
    [InlineData("::1]")]
    [InlineData("[::1]:80")]
    [InlineData("::1/64")]
    [InlineData("%lo")]
    [InlineData("::1%")]
    [InlineData("::1%lo@evil.example")]
    [InlineData("[::1%]]")]
    [InlineData("::1%a/../b")]
    public void What_is_neither_name_nor_address_is_refused(string text) => Assert.False(CanonicalHost.TryParse(text, out _));

    [Fact]
    public void Long_names_end_at_253_octets_and_labels_at_63()
    {
        var label = new string('a', 63);
        Assert.True(CanonicalHost.TryParse($"{label}.{label}.{label}.{label[..61]}", out _));
        Assert.False(CanonicalHost.TryParse($"{label}.{label}.{label}.{label[..62]}", out _));
        Assert.False(CanonicalHost.TryParse($"{label}a.com", out _));
    }

    [Fact]
    public void Any_ipv4_address_is_recognised_in_any_mix_of_radix_and_number_of_parts() =>
        Gen.Select(Gen.UInt, Gen.Int[1, 4], Gen.Int[0, 3].Array[4], Gen.Int[0, 3]).Sample((value, parts, radix, zeros) =>
        {
            var text = Spell(value, parts, radix, zeros);
            return CanonicalHost.TryParse(text, out var host) && host.Address!.Equals(V4(value));
        }, iter: 5000);

    [Fact]
    public void Parsing_is_total_and_its_result_parses_to_itself() =>
        Gen.Char["aA0.9:[]%x-_ é。１ｆ1f\0"].Array[0, 24].Select(c => new string(c)).Sample(
            text => !CanonicalHost.TryParse(text, out var host) || (CanonicalHost.TryParse(host.Name, out var again) && again == host),
            iter: 20000);

    [Fact]
    public void Whatever_the_platform_takes_for_ipv4_is_never_taken_for_a_name() =>
        Gen.Char["0123456789.xabf"].Array[1, 16].Select(c => new string(c)).Sample(text =>
            !IPAddress.TryParse(text, out var address) || !CanonicalHost.TryParse(text, out var host)
            || (host.IsLiteral && host.Address!.Equals(address)), iter: 20000);

    private static IPAddress V4(uint value) => new([(byte)(value >> 24), (byte)(value >> 16), (byte)(value >> 8), (byte)value]);

    private static string Spell(uint value, int parts, int[] radix, int zeros)
    {
        var texts = new string[parts];
        for (var i = 0; i < parts; i++)
        {
            var part = i == parts - 1 ? value & (uint.MaxValue >> (8 * i)) : value >> (24 - 8 * i) & 0xff;
            texts[i] = radix[i] switch
            {
                0 => "0" + new string('0', zeros) + Convert.ToString(part, 8),
                1 => "0x" + new string('0', zeros) + part.ToString("x", CultureInfo.InvariantCulture),
                2 => "0X" + part.ToString("X", CultureInfo.InvariantCulture),
                _ => part.ToString(CultureInfo.InvariantCulture),
            };
        }

        return string.Join('.', texts);
    }
}
