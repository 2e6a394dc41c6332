using System.Net;
using Discobot.Features.Socks5;

namespace Discobot.Fuzz;

/// <summary>Datagrams through UDP ASSOCIATE: a header that is read ends where the payload begins, and one that is written is read again.</summary>
public sealed class SocksDatagrams : FuzzTarget
{
    private const int MaxHeader = 3 + SocksAddress.MaxLength;

    protected override string[] Words =>
        ["\0\0\0\u0001", "\0\0\0\u0003", "\0\0\0\u0004", "\0\0\u0001", "\u000bexample.com", "\u007f\0\0\u0001", "\0\u0035", "payload", "\u00ff"];

    protected override void Check(byte[] input)
    {
        if (!UdpRelay.TryReadHeader(input, out var destination, out var length))
        {
            Assert.Equal(0, length);
            return;
        }

        Assert.Equal(0, input[2]);
        Assert.InRange(length, 3 + 4, Math.Min(MaxHeader, input.Length));
        // The payload has no part in it.
        Assert.True(UdpRelay.TryReadHeader(input.AsMemory(0, length), out var again, out var same));
        Assert.Equal((destination, length), (again, same));
        Assert.False(UdpRelay.TryReadHeader(input.AsMemory(0, length - 1), out _, out _));
        if (destination.Host is not { Address: { } literal })
            return;
        var buffer = new byte[MaxHeader + input.Length - length];
        input.AsSpan(length).CopyTo(buffer.AsSpan(MaxHeader));
        var start = UdpRelay.WriteHeader(new IPEndPoint(literal, destination.Port), buffer);
        Assert.True(UdpRelay.TryReadHeader(buffer.AsMemory(start), out var written, out var header));
        Assert.Equal(destination, written);
        Assert.Equal(input[length..], buffer[(start + header)..]);
    }
}
