using System.Buffers;
using System.Text;

namespace Discobot.Features.Socks5;

/// <summary>How a client offers to prove who it is.</summary>
//
//  +----+----------+----------+
//  |VER | NMETHODS | METHODS  |      RFC 1928, 3
//  +----+----------+----------+
//  | 1  |    1     | 1 to 255 |
//  +----+----------+----------+
internal readonly record struct SocksGreeting(bool OffersNothing, bool OffersPassword)
{
    public const byte Version = 5;
    public const byte NoAuthentication = 0x00;
    public const byte UserPassword = 0x02;
    public const byte NoAcceptableMethod = 0xFF;

    public static SocksRead TryRead(ref SequenceReader<byte> reader, out SocksGreeting greeting)
    {
        greeting = default;
        if (!reader.TryRead(out var version))
            return SocksRead.Incomplete;
        if (version != Version)
            return SocksRead.Malformed;
        if (!reader.TryRead(out var count) || !reader.TryReadExact(count, out var methods))
            return SocksRead.Incomplete;
        foreach (var segment in methods)
        {
            greeting = new SocksGreeting(
                greeting.OffersNothing || segment.Span.Contains(NoAuthentication),
                greeting.OffersPassword || segment.Span.Contains(UserPassword));
        }

        return SocksRead.Done;
    }
}

/// <summary>Who the client says it is.</summary>
//
//  +----+------+----------+------+----------+
//  |VER | ULEN |  UNAME   | PLEN |  PASSWD  |      RFC 1929, 2
//  +----+------+----------+------+----------+
//  | 1  |  1   | 1 to 255 |  1   | 1 to 255 |
//  +----+------+----------+------+----------+
internal readonly record struct SocksCredentials(byte[] Name, byte[] Password)
{
    public const byte Version = 1;

    public static SocksRead TryRead(ref SequenceReader<byte> reader, out SocksCredentials credentials)
    {
        credentials = default;
        if (!reader.TryRead(out var version))
            return SocksRead.Incomplete;
        if (version != Version)
            return SocksRead.Malformed;
        if (!reader.TryRead(out var nameLength) || !reader.TryReadExact(nameLength, out var name)
            || !reader.TryRead(out var passwordLength) || !reader.TryReadExact(passwordLength, out var password))
            return SocksRead.Incomplete;
        credentials = new SocksCredentials(name.ToArray(), password.ToArray());
        return SocksRead.Done;
    }

    // A record prints its members; this one holds a password.
    public override string ToString() => Encoding.UTF8.GetString(Name);
}

/// <summary>What became of reading a message.</summary>
internal enum SocksRead
{
    /// <summary>More bytes are needed; nothing was consumed.</summary>
    Incomplete,
    Done,

    /// <summary>No further byte can make it right.</summary>
    Malformed,

    /// <summary>The address is of a type RFC 1928 does not know, so its length is unknown too.</summary>
    UnknownAddressType,
}
