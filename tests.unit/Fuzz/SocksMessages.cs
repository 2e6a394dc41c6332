using System.Buffers;
using System.Net;
using System.Text;
using Discobot.Features.Socks5;
using Discobot.Infrastructure.Hosts;
using Discobot.Tests.Fixtures;

namespace Discobot.Fuzz;

/// <summary>Messages of SOCKS5. The first byte of an input chooses the message; a naive reader by offsets says what must come out.</summary>
public sealed class SocksMessages : FuzzTarget
{
    protected override string[] Words =>
    [
        "\u0005\u0001\0", "\u0005\u0002\0\u0002", "\u0005\u0001\0\u0001", "\u0005\u0001\0\u0003", "\u0005\u0003\0\u0004", "\u0001\u0005alice\u0004pa55",
        "\u007f\0\0\u0001", "\u000bexample.com", "\u0009127.0.0.1", "\u0003[::]", "\u0001\u00bb", "\0\u0050", "é", "\u00ff",
    ];

    protected override void Check(byte[] input)
    {
        if (input.Length == 0)
            return;
        var (kind, bytes) = (input[0] % 4, input[1..]);
        var (state, length) = Naive(kind, bytes);
        var read = Read(kind, new ReadOnlySequence<byte>(bytes));
        Assert.Equal(state, read.State);
        if (state == SocksRead.Done)
            Assert.Equal(length, read.Consumed);
        foreach (var size in (int[])[1, 3])
        {
            if (bytes.Length < 2000)
                Assert.Equal(read, Read(kind, Segments.Chop(bytes, size)));
        }

        // What comes behind a message belongs to the next one, and what is wrong stays wrong.
        if (state != SocksRead.Incomplete)
            Assert.Equal(read, Read(kind, new ReadOnlySequence<byte>([.. bytes, 1, 2, 3])));
    }

    private static (SocksRead State, string Said, int Consumed) Read(int kind, ReadOnlySequence<byte> bytes)
    {
        var reader = new SequenceReader<byte>(bytes);
        var (state, said) = kind switch
        {
            0 => (SocksGreeting.TryRead(ref reader, out var greeting), greeting.ToString()),
            1 => (SocksCredentials.TryRead(ref reader, out var user), $"{Encoding.UTF8.GetString(user.Name ?? [])} {Convert.ToHexString(user.Password ?? [])}"),
            2 => (SocksRequest.TryRead(ref reader, out var request), Canonical(request.Destination, request.Command)),
            _ => (SocksAddress.TryRead(ref reader, out var address), Canonical(address, default)),
        };
        return state == SocksRead.Done ? (state, said, (int)reader.Consumed) : (state, "", 0);
    }

    private static string Canonical(SocksAddress address, SocksCommand command)
    {
        Assert.InRange(address.Port, 0, 65535);
        if (address.Host is not { } host)
            return $"{command} nothing {address.Port}";
        Assert.True(CanonicalHost.TryParse(host.Name, out var again));
        Assert.Equal(host, again);
        if (host.Address is { } literal)
        {
            var buffer = new byte[SocksAddress.MaxLength];
            var length = SocksAddress.Write(new IPEndPoint(literal, address.Port), buffer);
            var reader = new SequenceReader<byte>(new ReadOnlySequence<byte>(buffer, 0, length));
            Assert.Equal(SocksRead.Done, SocksAddress.TryRead(ref reader, out var written));
            Assert.Equal(address, written);
        }

        return $"{command} {host} {address.Port}";
    }

    // RFC 1928 and 1929 by offsets: how long the message is, and whether it is there.
    private static (SocksRead State, int Length) Naive(int kind, byte[] b)
    {
        if (b.Length == 0)
            return (SocksRead.Incomplete, 0);
        if (kind < 3 && b[0] != (kind == 1 ? 1 : 5))
            return (SocksRead.Malformed, 0);
        var start = kind == 2 ? 3 : 0;
        int? length = kind switch
        {
            0 => b.Length < 2 ? null : 2 + b[1],
            1 => b.Length < 2 || b.Length < 3 + b[1] ? null : 3 + b[1] + b[2 + b[1]],
            _ => b.Length <= start ? null : b[start] switch
            {
                1 => start + 7,
                4 => start + 19,
                3 => b.Length <= start + 1 ? null : start + 4 + b[start + 1],
                _ => -1,
            },
        };
        return length is -1 ? (SocksRead.UnknownAddressType, 0)
            : length is { } whole && whole <= b.Length ? (SocksRead.Done, whole)
            : (SocksRead.Incomplete, 0);
    }
}
