using System.Globalization;

namespace Discobot.Features.Egress.Dns;

/// <summary>Types of records that have a name (IANA's registry of DNS parameters), spelled as there but for the case of letters.</summary>
internal enum DnsType : ushort
{
    A = 1,
    Ns = 2,
    Cname = 5,
    Soa = 6,
    Ptr = 12,
    Hinfo = 13,
    Mx = 15,
    Txt = 16,
    Rp = 17,
    Afsdb = 18,
    Aaaa = 28,
    Loc = 29,
    Srv = 33,
    Naptr = 35,
    Kx = 36,
    Cert = 37,
    Dname = 39,
    Opt = 41,
    Ds = 43,
    Sshfp = 44,
    Ipseckey = 45,
    Rrsig = 46,
    Nsec = 47,
    Dnskey = 48,
    Dhcid = 49,
    Nsec3 = 50,
    Nsec3Param = 51,
    Tlsa = 52,
    Smimea = 53,
    Hip = 55,
    Cds = 59,
    Cdnskey = 60,
    Openpgpkey = 61,
    Csync = 62,
    Zonemd = 63,
    Svcb = 64,
    Https = 65,
    Spf = 99,
    Eui48 = 108,
    Eui64 = 109,
    Uri = 256,
    Caa = 257,
}

/// <summary>Names of types.</summary>
internal static class DnsTypes
{
    private const string NumberedPrefix = "TYPE";

    /// <summary>The type by its name, or as TYPE and a number (RFC 3597, 5).</summary>
    /// <returns>Null for what is none that records have: OPT and TSIG, and what asks for all of a name or of a zone (RFC 6895, 3.1).</returns>
    public static DnsType? Parse(string text)
    {
        // The parser of names takes numbers and lists as well.
        if (text.Length == 0 || !char.IsAsciiLetter(text[0]) || !text.All(char.IsAsciiLetterOrDigit))
            return null;
        DnsType type;
        if (text.StartsWith(NumberedPrefix, StringComparison.OrdinalIgnoreCase)
            && ushort.TryParse(text.AsSpan(NumberedPrefix.Length), NumberStyles.None, CultureInfo.InvariantCulture, out var number))
            type = (DnsType)number;
        else if (!Enum.TryParse(text, ignoreCase: true, out type))
            return null;
        return type is 0 or DnsType.Opt or (>= (DnsType)128 and <= (DnsType)255) ? null : type;
    }

    /// <summary>The name as it is written.</summary>
    public static string Name(DnsType type) =>
        Enum.IsDefined(type) ? $"{type}".ToUpperInvariant() : string.Create(CultureInfo.InvariantCulture, $"{NumberedPrefix}{(ushort)type}");
}
