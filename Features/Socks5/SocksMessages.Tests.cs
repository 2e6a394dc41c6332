using System.Buffers;
using System.Net;
using System.Net.Sockets;
using System.Text;
using CsCheck;
using Discobot.Infrastructure.Wire;
using Discobot.Tests.Fixtures;

namespace Discobot.Features.Socks5;

public class SocksMessagesTests
{
    public static TheoryData<byte[], string, int> Addresses => new()
    {
        { [1, 127, 0, 0, 1, 0x1f, 0x90], "127.0.0.1", 8080 },
        { [4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 80], "::1", 80 },
        { [4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 1, 0xff, 0xff], "10.0.0.1", 65535 },
        { [3, 11, .. "Example.COM"u8, 1, 187], "example.com", 443 },
        { [3, 10, .. "2130706433"u8, 0, 80], "127.0.0.1", 80 },
        { [3, 15, .. "bücher.example"u8, 0, 80], "xn--bcher-kva.example", 80 },
    };

    [Theory]
    [MemberData(nameof(Addresses))]
    public void An_address_is_read_in_its_canonical_form(byte[] bytes, string host, int port)
    {
        var reader = new SequenceReader<byte>(new ReadOnlySequence<byte>(bytes));
        Assert.Equal(SocksRead.Done, SocksAddress.TryRead(ref reader, out var address));
        Assert.True(reader.End);
        Assert.Equal((host, port), (address.Host!.Value.Name, address.Port));
    }

    [Fact]
    public void Any_message_cut_anywhere_is_incomplete_and_whole_it_is_read_however_it_is_chopped()
    {
        byte[][] messages =
        [
            [5, 2, 0, 2],
            [5, 255, .. new byte[255]],
            [1, 5, .. "alice"u8, 4, .. "pa55"u8],
            [5, 1, 0, 1, 127, 0, 0, 1, 0, 80],
            [5, 1, 0, 3, 9, .. "localhost"u8, 0, 80],
            [5, 3, 0, 4, .. new byte[16], 0, 0],
        ];
        foreach (var (message, index) in messages.Select((m, i) => (m, i)))
        {
            for (var cut = 0; cut < message.Length; cut++)
                Assert.Equal(SocksRead.Incomplete, Read(index, Segments.Chop(message[..cut], 1)));
            Assert.All([1, 2, 3, 1000], size => Assert.Equal(SocksRead.Done, Read(index, Segments.Chop([.. message, 9, 9], size))));
        }
    }

    [Fact]
    public void No_bytes_make_reading_fail_otherwise_than_by_saying_so() =>
        Gen.Select(Gen.Byte.Array[0, 300], Gen.Int[1, 40], Gen.Int[0, 5]).Sample((bytes, size, kind) =>
        {
            if (bytes.Length > 3 && size % 2 == 0)
                (bytes[0], bytes[3]) = (5, (byte)(bytes[3] % 5));
            Read(kind, Segments.Chop(bytes, size));
        }, iter: 20_000);

    [Fact]
    public void Addresses_written_are_read_back() =>
        Gen.Select(Gen.OneOf(Gen.Byte.Array[4], Gen.Byte.Array[16]), Gen.UShort).Sample((bytes, port) =>
        {
            var endpoint = new IPEndPoint(new IPAddress(bytes), port);
            var buffer = new byte[SocksAddress.MaxLength];
            var length = SocksAddress.Write(endpoint, buffer);
            var reader = new SequenceReader<byte>(new ReadOnlySequence<byte>(buffer, 0, length));
            return SocksAddress.TryRead(ref reader, out var address) == SocksRead.Done && reader.End
                && address.Port == port && address.Host!.Value == Infrastructure.Hosts.CanonicalHost.Of(endpoint.Address);
        });

    [Theory]
    [InlineData(SocketError.ConnectionRefused, 5)]
    [InlineData(SocketError.HostUnreachable, 4)]
    [InlineData(SocketError.HostNotFound, 4)]
    [InlineData(SocketError.TryAgain, 4)]
    [InlineData(SocketError.NoData, 4)]
    [InlineData(SocketError.NetworkUnreachable, 3)]
    [InlineData(SocketError.TimedOut, 6)]
    [InlineData(SocketError.ConnectionReset, 1)]
    public void A_failed_dial_has_its_reply(SocketError error, byte reply) =>
        Assert.Equal(reply, (byte)SocksReplies.Of(new SocketException((int)error)));

    [Fact]
    public void Refused_by_rule_is_2_and_out_of_time_is_6()
    {
        Assert.Equal(SocksReply.NotAllowed, SocksReplies.Of(new DialRefusedException(new ProxyError(403, "blocked", "No."))));
        Assert.Equal(SocksReply.TtlExpired, SocksReplies.Of(new OperationCanceledException()));
        Assert.Equal(SocksReply.GeneralFailure, SocksReplies.Of(new IOException()));
        Assert.Equal([5, 2, 0, 1, 0, 0, 0, 0, 0, 0], SocksReply.NotAllowed.Write());
    }

    [Fact]
    public void Credentials_print_no_password() =>
        Assert.Equal("alice", new SocksCredentials(Encoding.UTF8.GetBytes("alice"), Encoding.UTF8.GetBytes("pa55")).ToString());

    private static SocksRead Read(int kind, ReadOnlySequence<byte> bytes)
    {
        var reader = new SequenceReader<byte>(bytes);
        return kind switch
        {
            0 or 1 => SocksGreeting.TryRead(ref reader, out _),
            2 => SocksCredentials.TryRead(ref reader, out _),
            _ => SocksRequest.TryRead(ref reader, out _),
        };
    }
}
