using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Text;
using Discobot.Infrastructure.Hosts;
using Discobot.Infrastructure.Wire;

namespace Discobot.Fuzz;

/// <summary>Spellings of hosts: whatever another program would take for an address is that address here too, or nothing at all.</summary>
public sealed partial class Hosts : FuzzTarget
{
    protected override string[] Words =>
    [
        "127", "0x7f", "0X", "0177", "000", "2130706433", "4294967295", "1", ".", "..", "。", "．", "｡", "１", "ｆ", "::", "::ffff:", "64:ff9b::", "2002:7f00:1::", "[", "]",
        "%25eth0", "%lo", ":80", ":65536", "a", "A", "Z", "example", "com", "xn--", "xn--bcher-kva", "ü", "ß", "İ", "K", "ſ", "\u00ad", "\u200d", "-", "_", "@", "/", "\0", " ", "\ud83d\ude00",
    ];

    protected override void Check(byte[] input)
    {
        var text = Encoding.UTF8.GetString(input);
        CheckRange(text);
        CheckAuthority(text);
        if (!CanonicalHost.TryParse(text, out var host))
            return;
        Assert.DoesNotContain(text, char.IsWhiteSpace);
        CheckForm(host);
        CheckLikeOthers(text, host);
        Assert.Equal(host, Parse(host.Name));
        if (host.Address is { AddressFamily: AddressFamily.InterNetworkV6 })
            Assert.Equal(host, Parse($"[{host.Name}]"));
        else
            Assert.Equal(host, Parse(host.Name + "."));
        var upper = string.Concat(text.Select(c => char.IsAsciiLetterLower(c) ? (char)(c - 32) : c));
        Assert.Equal(host, Parse(upper));
    }

    private static void CheckForm(CanonicalHost host)
    {
        Assert.InRange(host.Name.Length, 1, 253);
        if (host.Address is not { } address)
        {
            Assert.All(host.Name.Split('.'), label => Assert.InRange(label.Length, 1, 63));
            Assert.All(host.Name, c => Assert.True(char.IsAsciiLetterLower(c) || char.IsAsciiDigit(c) || c is '.' or '-' or '_'));
            Assert.False(IPAddress.TryParse(host.Name, out _));
            return;
        }

        Assert.Equal(address.ToString(), host.Name);
        Assert.False(address.IsIPv4MappedToIPv6);
        Assert.True(address.AddressFamily == AddressFamily.InterNetwork || address.ScopeId == 0);
        Assert.NotEmpty(EmbeddedAddresses.Of(address));
        Assert.Equal(SpecialAddresses.Classify(address), SpecialAddresses.Classify(address.MapToIPv6()));
    }

    // The C library resolves names for everything that is not .NET, and Uri parses what our own client is given.
    private static void CheckLikeOthers(string text, CanonicalHost host)
    {
        if (!text.Contains('\0', StringComparison.Ordinal) && inet_aton(text, out var bits) != 0)
            Assert.Equal(new IPAddress(bits), host.Address);
        if (Uri.TryCreate($"http://{text}/", UriKind.Absolute, out var uri) && uri.HostNameType is UriHostNameType.IPv4 or UriHostNameType.IPv6)
            Assert.Equal(CanonicalHost.Of(IPAddress.Parse(uri.DnsSafeHost.Split('%')[0])), host);
        Assert.Equal(host.Name, ConnectTarget.Normalize(text));
    }

    private static void CheckAuthority(string text)
    {
        if (!ConnectTarget.TryParse(text, 443, out var target))
            return;
        Assert.InRange(target.Port, 1, 65535);
        Assert.True(ConnectTarget.TryParse(target.ToString(), null, out var again));
        Assert.Equal(target, again);
        Assert.Equal(target.Host, Parse(target.Host).Name);
        if (ConnectTarget.TryParse(text, null, out var explicitly))
            Assert.Equal(target, explicitly);
        else
            Assert.Equal(443, target.Port);
    }

    private static void CheckRange(string text)
    {
        if (!IpRange.TryParse(text, out var range))
            return;
        Assert.InRange(range.PrefixLength, 0, 128);
        Assert.Equal(range.Bits, range.Bits & IpRange.Mask(range.PrefixLength));
        if (!text.Contains('/', StringComparison.Ordinal) && CanonicalHost.TryParse(text, out var host))
            Assert.True(range.Contains(host.Address!));
        Assert.True(IpRange.TryParse($"{new IPAddress(Bytes(range.Bits))}/{range.PrefixLength}", out var again));
        // "::/0" to "::/95" hold no IPv4; a mapped network must be given its length in full.
        Assert.Equal((range.Bits, range.PrefixLength), (again.Bits, again.PrefixLength));
    }

    private static byte[] Bytes(UInt128 bits)
    {
        var bytes = new byte[16];
        System.Buffers.Binary.BinaryPrimitives.WriteUInt128BigEndian(bytes, bits);
        return bytes;
    }

    private static CanonicalHost Parse(string text)
    {
        Assert.True(CanonicalHost.TryParse(text, out var host), text);
        return host;
    }

    [LibraryImport("libc", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int inet_aton(string text, out uint address);
}
