using System.Net;
using CsCheck;

namespace Discobot.Infrastructure.Hosts;

public class IpRangeTests
{
    [Theory]
    [InlineData("192.168.1.0/24", "192.168.1.255", true)]
    [InlineData("192.168.1.77/24", "192.168.1.1", true)]
    [InlineData("192.168.1.0/24", "192.168.2.0", false)]
    [InlineData("192.168.1.0/24", "::ffff:192.168.1.9", true)]
    [InlineData("::ffff:192.168.1.0/120", "192.168.1.9", true)]
    [InlineData("10.0.0.1", "10.0.0.1", true)]
    [InlineData("10.0.0.1", "10.0.0.2", false)]
    [InlineData("0.0.0.0/0", "8.8.8.8", true)]
    [InlineData("0.0.0.0/0", "2001:db8::1", false)]
    [InlineData("::/0", "2001:db8::1", true)]
    [InlineData("::/0", "8.8.8.8", false)]
    [InlineData("2001:db8::/32", "2001:db8:ffff::1", true)]
    [InlineData("fe80::/10", "fe80::1%3", true)]
    public void A_range_holds_its_addresses(string range, string address, bool holds)
    {
        Assert.True(IpRange.TryParse(range, out var parsed));
        Assert.Equal(holds, parsed.Contains(IPAddress.Parse(address)));
        Assert.Equal(holds, new IpRangeSet([parsed]).Contains(IPAddress.Parse(address)));
    }

    [Theory]
    [InlineData("")]
    [InlineData("/8")]
    [InlineData("10.0.0.0/")]
    [InlineData("10.0.0.0/33")]
    [InlineData("10.0.0.0/-1")]
    [InlineData("10.0.0.0/+8")]
    [InlineData("10/8")]
    [InlineData("010.0.0.0/8")]
    [InlineData("127.0.0.01")]
    [InlineData("0x7f.0.0.1")]
    [InlineData("::/129")]
    [InlineData("[::1]")]
    [InlineData("[::1]:80")]
    [InlineData("fe80::1%eth0")]
    [InlineData("example.com")]
    public void What_is_no_range_is_refused(string text) => Assert.False(IpRange.TryParse(text, out _));

    [Fact]
    public void The_set_finds_the_narrowest_range_a_walk_would_find()
    {
        var bytes = Gen.Byte[0, 3];
        var address = Gen.OneOf(
            bytes.Array[4].Select(b => new IPAddress(b)),
            bytes.Array[16].Select(b => new IPAddress(b)));
        var range = Gen.Select(address, Gen.Int[0, 128]).Select((a, length) =>
        {
            var text = $"{a}/{Math.Min(length, a.GetAddressBytes().Length * 8)}";
            return IpRange.TryParse(text, out var parsed) ? parsed : throw new FormatException(text);
        });
        Gen.Select(range.Array[0, 20], address).Sample((ranges, probe) =>
        {
            var holding = ranges.Where(r => r.Contains(probe)).ToList();
            var found = new IpRangeSet(ranges).TryFind(probe, out var narrowest);
            return found == holding.Count > 0 && (!found || narrowest.PrefixLength == holding.Max(r => r.PrefixLength));
        }, iter: 3000);
    }
}
