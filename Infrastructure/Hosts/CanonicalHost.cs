using System.Buffers;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Discobot.Infrastructure.Hosts;

/// <summary>
/// A host in the one form in which rules compare it, whatever spelling the client chose: <c>2130706433</c>, <c>0x7f.1</c>,
/// <c>127.0.0.1.</c> and <c>[::ffff:127.0.0.1]</c> all arrive here as the address they reach.
/// </summary>
/// <param name="Name">Lower-case ASCII without trailing dot (IDN as punycode), or the address in its usual text.</param>
/// <param name="Address">The address when the host is a literal, without zone; null for names.</param>
internal readonly record struct CanonicalHost(string Name, IPAddress? Address)
{
    // RFC 6874, 2: what else stands behind "%" is somebody's attempt at another host.
    private static readonly SearchValues<char> ZoneCharacters =
        SearchValues.Create("%-._~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");

    private static readonly IdnMapping Idn = new() { AllowUnassigned = false, UseStd3AsciiRules = false };

    public bool IsLiteral => Address is not null;

    /// <summary>Reads a name or a literal, with or without brackets, zone id, trailing dot.</summary>
    /// <returns>
    /// False for what is neither: empty labels, forbidden characters, more than 253 octets, punycode that decodes to nothing, and names whose last label is a number
    /// but which are no IPv4 address (URL Standard, "ends in a number"): no such name can exist, and resolvers disagree about it.
    /// </returns>
    public static bool TryParse(string text, out CanonicalHost host)
    {
        host = default;
        if (text.Length is 0 or > 1024)
            return false;
        if (text[0] == '[')
            return text[^1] == ']' && TryParseV6(text.AsSpan(1, text.Length - 2), out host);
        if (text.Contains(':', StringComparison.Ordinal))
            return TryParseV6(text, out host);

        if (!Ascii.IsValid(text) && (text.Any(c => char.IsWhiteSpace(c) || char.IsControl(c)) || !TryToAscii(ref text)))
            return false;
        var name = text[^1] == '.' ? text[..^1] : text;
        name = name.ToLowerInvariant();
        if (InetAton.EndsInNumber(name))
        {
            if (!InetAton.TryParse(name, out var v4))
                return false;
            host = Of(v4);
            return true;
        }

        host = new CanonicalHost(name, null);
        return IsName(name);
    }

    /// <summary>A literal: IPv4-mapped addresses become the IPv4 address they are, zones are dropped.</summary>
    public static CanonicalHost Of(IPAddress address)
    {
        if (address.IsIPv4MappedToIPv6)
            address = address.MapToIPv4();
        else if (address.AddressFamily == AddressFamily.InterNetworkV6 && address.ScopeId != 0)
            address = new IPAddress(address.GetAddressBytes());
        return new CanonicalHost(address.ToString(), address);
    }

    public override string ToString() => Name;

    private static bool TryParseV6(ReadOnlySpan<char> text, out CanonicalHost host)
    {
        host = default;
        var zone = text.IndexOf('%');
        if (zone >= 0 && (zone == text.Length - 1 || text[zone..].ContainsAnyExcept(ZoneCharacters)))
            return false;
        if (zone >= 0)
            text = text[..zone];
        if (text.ContainsAnyExcept(IpRange.LiteralCharacters) || !IPAddress.TryParse(text, out var address)
            || address.AddressFamily != AddressFamily.InterNetworkV6)
            return false;
        host = Of(address);
        return true;
    }

    // UTS 46 in short: full-width forms are folded first, so that "１２７.1" is seen as the number it is. Other compatibility forms
    // would need the Unicode tables that a static program does without; they stay names of their own, which no rule means by chance.
    private static bool TryToAscii(ref string text)
    {
        try
        {
            text = Idn.GetAscii(string.Create(text.Length, text, static (folded, source) =>
            {
                for (var i = 0; i < folded.Length; i++)
                    folded[i] = char.ToLowerInvariant(source[i] is >= '\uff01' and <= '\uff5e' ? (char)(source[i] - 0xfee0) : source[i]);
            }));
            return text.Length > 0;
        }
        catch (ArgumentException)
        {
            return false;
        }
    }

    // RFC 1123 names plus '_', which real names carry (RFC 2782). At most 253 octets, labels of 63 (RFC 1035, 2.3.4).
    private static bool IsName(string name)
    {
        if (name.Length is 0 or > 253)
            return false;
        var label = 0;
        foreach (var c in name)
        {
            if (c == '.')
            {
                if (label == 0)
                    return false;
                label = 0;
            }
            else if ((!char.IsAsciiLetterOrDigit(c) && c is not ('-' or '_')) || ++label > 63)
            {
                return false;
            }
        }

        return label > 0 && !HasBrokenPunycode(name);
    }

    // RFC 3492, 6.2. No such name exists, and who decodes it for show fails on it.
    private static bool HasBrokenPunycode(string name)
    {
        if (!name.Contains("xn--", StringComparison.Ordinal))
            return false;
        try
        {
            Idn.GetUnicode(name);
            return false;
        }
        catch (ArgumentException)
        {
            return true;
        }
    }
}
