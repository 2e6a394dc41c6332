using System.Buffers;

namespace Discobot.Features.Socks5;

internal enum SocksCommand : byte
{
    Connect = 1,
    Bind = 2,
    UdpAssociate = 3,
}

/// <summary>What the client wants.</summary>
/// <param name="Command">As sent; may be none of the known ones.</param>
/// <param name="Destination">Where to; for UDP ASSOCIATE where the client will send from.</param>
//
//  +----+-----+-------+------+----------+----------+
//  |VER | CMD |  RSV  | ATYP | DST.ADDR | DST.PORT |      RFC 1928, 4
//  +----+-----+-------+------+----------+----------+
//  | 1  |  1  | X'00' |  1   | Variable |    2     |
//  +----+-----+-------+------+----------+----------+
internal readonly record struct SocksRequest(SocksCommand Command, SocksAddress Destination)
{
    public static SocksRead TryRead(ref SequenceReader<byte> reader, out SocksRequest request)
    {
        request = default;
        if (!reader.TryRead(out var version))
            return SocksRead.Incomplete;
        if (version != SocksGreeting.Version)
            return SocksRead.Malformed;
        // RSV is not looked at: clients were seen to send anything, and it means nothing.
        if (!reader.TryRead(out var command) || !reader.TryRead(out _))
            return SocksRead.Incomplete;
        var read = SocksAddress.TryRead(ref reader, out var destination);
        request = new SocksRequest((SocksCommand)command, destination);
        return read;
    }
}
