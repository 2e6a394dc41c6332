using System.Net;
using System.Net.Sockets;
using Discobot.Infrastructure.Wire;

namespace Discobot.Features.Socks5;

/// <summary>The REP field (RFC 1928, 6).</summary>
internal enum SocksReply : byte
{
    Succeeded = 0,
    GeneralFailure = 1,
    NotAllowed = 2,
    NetworkUnreachable = 3,
    HostUnreachable = 4,
    ConnectionRefused = 5,
    TtlExpired = 6,
    CommandNotSupported = 7,
    AddressTypeNotSupported = 8,
}

internal static class SocksReplies
{
    /// <summary>The message for the client.</summary>
    /// <param name="reply">The REP field.</param>
    /// <param name="bound">BND.ADDR and BND.PORT; zeros when there is nothing to say.</param>
    //
    //  +----+-----+-------+------+----------+----------+
    //  |VER | REP |  RSV  | ATYP | BND.ADDR | BND.PORT |      RFC 1928, 6
    //  +----+-----+-------+------+----------+----------+
    //  | 1  |  1  | X'00' |  1   | Variable |    2     |
    //  +----+-----+-------+------+----------+----------+
    public static byte[] Write(this SocksReply reply, IPEndPoint? bound = null)
    {
        Span<byte> message = stackalloc byte[3 + SocksAddress.MaxLength];
        message[0] = SocksGreeting.Version;
        message[1] = (byte)reply;
        message[2] = 0;
        var length = SocksAddress.Write(bound ?? new IPEndPoint(IPAddress.Any, 0), message[3..]);
        return message[..(3 + length)].ToArray();
    }

    /// <summary>The reply for a dial that failed.</summary>
    public static SocksReply Of(Exception failure) => failure switch
    {
        DialRefusedException => SocksReply.NotAllowed,
        OperationCanceledException => SocksReply.TtlExpired,
        SocketException socket => socket.SocketErrorCode switch
        {
            SocketError.ConnectionRefused => SocksReply.ConnectionRefused,
            SocketError.TimedOut => SocksReply.TtlExpired,
            SocketError.NetworkUnreachable or SocketError.NetworkDown or SocketError.AddressFamilyNotSupported =>
                SocksReply.NetworkUnreachable,
            // A name nobody knows is a host nobody reaches.
            SocketError.HostUnreachable or SocketError.HostDown or SocketError.HostNotFound or SocketError.NoData
                or SocketError.TryAgain or SocketError.NoRecovery => SocksReply.HostUnreachable,
            _ => SocksReply.GeneralFailure,
        },
        _ => SocksReply.GeneralFailure,
    };
}
