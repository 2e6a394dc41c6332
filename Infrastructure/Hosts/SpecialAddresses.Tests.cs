using System.Net;
using CsCheck;

namespace Discobot.Infrastructure.Hosts;

public class SpecialAddressesTests
{
    [Theory]
    [InlineData("8.8.8.8", "Public")]
    [InlineData("2606:4700::1111", "Public")]
    [InlineData("127.0.0.1", "Loopback")]
    [InlineData("127.255.255.254", "Loopback")]
    [InlineData("::1", "Loopback")]
    [InlineData("0.0.0.0", "Unspecified")]
    [InlineData("0.1.2.3", "Unspecified")]
    [InlineData("::", "Unspecified")]
    [InlineData("10.1.2.3", "Private")]
    [InlineData("172.16.0.1", "Private")]
    [InlineData("172.31.255.255", "Private")]
    [InlineData("172.32.0.1", "Public")]
    [InlineData("192.168.0.1", "Private")]
    [InlineData("100.64.0.1", "Private")]
    [InlineData("100.128.0.1", "Public")]
    [InlineData("fd12:3456::1", "Private")]
    [InlineData("fec0::1", "Private")]
    [InlineData("169.254.0.1", "LinkLocal")]
    [InlineData("fe80::1%2", "LinkLocal")]
    [InlineData("169.254.169.254", "Metadata")]
    [InlineData("169.254.170.2", "Metadata")]
    [InlineData("168.63.129.16", "Metadata")]
    [InlineData("100.100.100.200", "Metadata")]
    [InlineData("fd00:ec2::254", "Metadata")]
    [InlineData("224.0.0.1", "Multicast")]
    [InlineData("ff02::1", "Multicast")]
    [InlineData("255.255.255.255", "Broadcast")]
    [InlineData("240.0.0.1", "Reserved")]
    [InlineData("203.0.113.1", "Reserved")]
    [InlineData("::ffff:10.0.0.1", "Private")]
    [InlineData("::127.0.0.1", "Loopback")]
    [InlineData("64:ff9b::8.8.8.8", "Public")]
    [InlineData("64:ff9b:1::8.8.8.8", "Private")]
    [InlineData("2001:0:4136:e378:8000:63bf:3fff:fdd2", "Reserved")]
    [InlineData("2001:0:4136:e378:8000:63bf:5601:5601", "Metadata")]
    [InlineData("2002:7f00:1::1", "Loopback")]
    [InlineData("2001:db8::5efe:10.0.0.1", "Private")]
    public void An_address_is_of_its_kind(string address, string kind) =>
        Assert.Equal(kind, SpecialAddresses.Classify(IPAddress.Parse(address)).ToString());

    [Fact]
    public void No_embedding_makes_an_address_look_more_harmless()
    {
        var v4 = Gen.OneOf(
            Gen.Byte.Array[4].Select(b => new IPAddress(b)),
            Gen.OneOf(Gen.Const("169.254.169.254"), Gen.Const("127.0.0.1"), Gen.Const("10.0.0.1"), Gen.Const("0.0.0.0"))
                .Select(IPAddress.Parse));
        // ::0.0.0.x is :: or ::1 or near them, and no IPv4 address (RFC 4291, 2.5.5.1).
        Gen.Select(v4, Gen.Int[0, 8]).Where((a, form) => form != 2 || a.GetAddressBytes()[0] != 0).Sample((address, form) =>
        {
            var wrapped = Wrap(address.GetAddressBytes(), form);
            return EmbeddedAddresses.Of(wrapped).Contains(address)
                && SpecialAddresses.Classify(wrapped) >= SpecialAddresses.Classify(address);
        }, iter: 5000);
    }

    private static IPAddress Wrap(byte[] v, int form) => form switch
    {
        0 => new([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, .. v]),
        1 => new([0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, .. v]),
        2 => new([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, .. v]),
        3 => new([0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0, .. v]),
        4 => new([0, 0x64, 0xff, 0x9b, 0, 1, 0, 0, 0, 0, 0, 0, .. v]),
        5 => new([0, 0x64, 0xff, 0x9b, 0, 1, v[0], v[1], 0, v[2], v[3], 0, 0, 0, 0, 0]),
        6 => new([0x20, 0x02, .. v, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]),
        7 => new([0x20, 0x01, 0, 0, 8, 8, 8, 8, 0, 0, 0, 0, (byte)~v[0], (byte)~v[1], (byte)~v[2], (byte)~v[3]]),
        _ => new([0x26, 0, 0, 1, 0, 0, 0, 0, 2, 0, 0x5e, 0xfe, .. v]),
    };
}
