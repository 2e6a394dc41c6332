using System.Net;

namespace Discobot.Infrastructure.Hosts;

/// <summary>What an address is for, from harmless to most worth guarding: the order is used to pick the worst of several.</summary>
internal enum AddressKind
{
    Public,
    Reserved,
    Multicast,
    Broadcast,
    Private,
    LinkLocal,
    Unspecified,
    Loopback,
    Metadata,
}

/// <summary>Tells addresses of the public internet from those that lead back into the machine, its network or its cloud account.</summary>
internal static class SpecialAddresses
{
    // Instance metadata hands out credentials to whoever asks: AWS, GCP, Azure (all three 169.254.169.254), ECS and EKS (169.254.170.*),
    // Tencent, Scaleway, Oracle Classic, Alibaba, Azure's wire server.
    private static readonly IpRangeSet Metadata = Ranges("169.254.169.254", "169.254.170.2", "169.254.170.23", "169.254.0.23",
        "169.254.42.42", "192.0.0.192", "100.100.100.200", "168.63.129.16", "fd00:ec2::254", "fd00:ec2::23", "fd20:ce::254", "fd00:42::42");

    // IANA's special-purpose registries (RFC 6890 and its updates).
    private static readonly (AddressKind Kind, IpRangeSet Ranges)[] Kinds =
    [
        (AddressKind.Metadata, Metadata),
        (AddressKind.Loopback, Ranges("127.0.0.0/8", "::1")),
        // 0.0.0.0 connects to this machine on Linux, and so does the whole of 0/8 to some stacks (RFC 1122, 3.2.1.3).
        (AddressKind.Unspecified, Ranges("0.0.0.0/8", "::")),
        (AddressKind.LinkLocal, Ranges("169.254.0.0/16", "fe80::/10")),
        // RFC 1918, 6598 (carrier NAT), 2544 (benchmarks, used inside networks), 4193 (ULA), 3879 (site-local), 8215 (local NAT64).
        (AddressKind.Private, Ranges("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "198.18.0.0/15",
            "fc00::/7", "fec0::/10", "64:ff9b:1::/48")),
        (AddressKind.Broadcast, Ranges("255.255.255.255")),
        (AddressKind.Multicast, Ranges("224.0.0.0/4", "ff00::/8")),
        (AddressKind.Reserved, Ranges("192.0.0.0/24", "192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4",
            "100::/64", "2001:db8::/32", "3fff::/20")),
    ];

    /// <summary>The kind of an address, seen through every embedding: the worst of what it may reach.</summary>
    public static AddressKind Classify(IPAddress address)
    {
        var worst = AddressKind.Public;
        foreach (var destination in EmbeddedAddresses.Of(address))
        {
            var kind = ClassifyPlain(destination);
            if (kind > worst)
                worst = kind;
        }

        return worst;
    }

    /// <summary>The kind of this very address, embeddings not looked into.</summary>
    public static AddressKind ClassifyPlain(IPAddress address)
    {
        foreach (var (kind, ranges) in Kinds)
        {
            if (ranges.Contains(address))
                return kind;
        }

        return AddressKind.Public;
    }

    /// <summary>The kind in words, to stand after "a" or "an": "a private address".</summary>
    public static string Describe(AddressKind kind) => kind switch
    {
        AddressKind.Metadata => "a cloud metadata address",
        AddressKind.Loopback => "a loopback address",
        AddressKind.Unspecified => "an unspecified address",
        AddressKind.LinkLocal => "a link-local address",
        AddressKind.Private => "a private address",
        AddressKind.Broadcast => "the broadcast address",
        AddressKind.Multicast => "a multicast address",
        AddressKind.Reserved => "a reserved address",
        _ => "a public address",
    };

    private static IpRangeSet Ranges(params string[] texts) =>
        new(texts.Select(text => IpRange.TryParse(text, out var range) ? range : throw new FormatException(text)));
}
