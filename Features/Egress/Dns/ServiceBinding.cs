using System.Buffers.Binary;
using System.Collections.Immutable;

namespace Discobot.Features.Egress.Dns;

/// <summary>
/// What an HTTPS or SVCB record says of how a host is reached (RFC 9460, 2.2), as far as it is passed on:
/// <code>
/// priority 2 | target, without pointers | (key 2 | length 2 | value)*
/// </code>
/// The keys for encrypted names (ech) are left out, and protocols over QUIC, which is refused: the name would be hidden from the rules, or time lost.
/// Addresses (ipv4hint, ipv6hint) are left out as well, so that there is one way by which a client gets an address, A and AAAA, where it is judged
/// and remembered; clients have to ask for those whatever the hints say (RFC 9460, 7.3).
/// </summary>
/// <param name="Priority">0: an alias, without parameters.</param>
/// <param name="Target">Lower case, without a dot at the end; empty: the record's own name.</param>
/// <param name="Parameters">As they are written.</param>
internal sealed record ServiceBinding(ushort Priority, string Target, ImmutableArray<byte> Parameters)
{
    private const ushort Mandatory = 0, Alpn = 1, NoDefaultAlpn = 2, Port = 3, Ipv4Hint = 4, Ech = 5, Ipv6Hint = 6;

    private static readonly byte[][] OverQuic = ["h3"u8.ToArray(), "hq"u8.ToArray(), "doq"u8.ToArray()];

    /// <summary>Reads a record's data.</summary>
    /// <param name="data">All of it.</param>
    /// <param name="binding">What is passed on; null when nothing is: without what was left out it cannot be used (RFC 9460, 8), or it is for QUIC alone.</param>
    /// <returns>False when it is malformed: then none of the name's records counts (RFC 9460, 2.2).</returns>
    public static bool TryRead(ReadOnlySpan<byte> data, out ServiceBinding? binding)
    {
        binding = null;
        var at = 2;
        if (data.Length < 3 || !DnsQuestion.TryReadPlainName(data, ref at, out var target, out var isHost) || !isHost)
            return false;
        var priority = BinaryPrimitives.ReadUInt16BigEndian(data);
        if (!TryReadParameters(data[at..], out var parameters, out var isUsable))
            return false;
        // RFC 9460, 2.4.2: what stands behind an alias is ignored.
        binding = priority == 0 ? new ServiceBinding(0, target, []) : isUsable ? new ServiceBinding(priority, target, parameters) : null;
        return true;
    }

    /// <summary>The data as they are written.</summary>
    public byte[] ToBytes()
    {
        var bytes = new MemoryStream();
        bytes.Write([(byte)(Priority >> 8), (byte)Priority]);
        DnsAnswer.WriteName(bytes, Target);
        bytes.Write(Parameters.AsSpan());
        return bytes.ToArray();
    }

    private static bool TryReadParameters(ReadOnlySpan<byte> data, out ImmutableArray<byte> parameters, out bool isUsable)
    {
        (parameters, isUsable) = ([], false);
        var kept = new MemoryStream();
        var (present, keptKeys, mandatory) = (new List<ushort>(), new List<ushort>(), new List<ushort>());
        for (var at = 0; at < data.Length;)
        {
            if (at + 4 > data.Length)
                return false;
            var key = BinaryPrimitives.ReadUInt16BigEndian(data[at..]);
            var length = BinaryPrimitives.ReadUInt16BigEndian(data[(at + 2)..]);
            at += 4;
            if (at + length > data.Length || (present.Count > 0 && key <= present[^1]))
                return false;
            var value = data.Slice(at, length);
            at += length;
            present.Add(key);
            if (!IsWellFormed(key, value, mandatory))
                return false;
            if (key == Alpn)
                value = WithoutQuic(value);
            if (key is Ech or Ipv4Hint or Ipv6Hint || (key == Alpn && value.Length == 0))
                continue;
            keptKeys.Add(key);
            kept.Write([(byte)(key >> 8), (byte)key, (byte)(value.Length >> 8), (byte)value.Length]);
            kept.Write(value);
        }

        if (mandatory.Exists(key => !present.Contains(key)))
            return false;
        parameters = [.. kept.ToArray()];
        isUsable = mandatory.TrueForAll(keptKeys.Contains) && (!keptKeys.Contains(NoDefaultAlpn) || keptKeys.Contains(Alpn));
        return true;
    }

    private static bool IsWellFormed(ushort key, ReadOnlySpan<byte> value, List<ushort> mandatory) => key switch
    {
        Mandatory => TryReadMandatory(value, mandatory),
        Alpn => IsListOfProtocols(value),
        NoDefaultAlpn => value.Length == 0,
        Port => value.Length == 2,
        Ipv4Hint => value.Length > 0 && value.Length % 4 == 0,
        Ipv6Hint => value.Length > 0 && value.Length % 16 == 0,
        _ => true,
    };

    private static bool TryReadMandatory(ReadOnlySpan<byte> value, List<ushort> mandatory)
    {
        for (; value.Length >= 2; value = value[2..])
        {
            var key = BinaryPrimitives.ReadUInt16BigEndian(value);
            if (key <= (mandatory.Count > 0 ? mandatory[^1] : Mandatory))
                return false;
            mandatory.Add(key);
        }

        return value.Length == 0 && mandatory.Count > 0;
    }

    private static bool IsListOfProtocols(ReadOnlySpan<byte> value)
    {
        var isEmpty = value.Length == 0;
        while (value.Length > 0 && value[0] > 0 && value[0] < value.Length)
            value = value[(1 + value[0])..];
        return !isEmpty && value.Length == 0;
    }

    private static ReadOnlySpan<byte> WithoutQuic(ReadOnlySpan<byte> list)
    {
        var left = new MemoryStream();
        for (; list.Length > 0; list = list[(1 + list[0])..])
        {
            var protocol = list.Slice(1, list[0]);
            if (!IsOverQuic(protocol))
                left.Write(list[..(1 + list[0])]);
        }

        return left.ToArray();
    }

    private static bool IsOverQuic(ReadOnlySpan<byte> protocol)
    {
        foreach (var prefix in OverQuic)
        {
            if (protocol.StartsWith(prefix))
                return true;
        }

        return false;
    }
}
