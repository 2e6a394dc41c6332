using System.Buffers;
using System.Text;
using CsCheck;
using Discobot.Tests.Fixtures;

namespace Discobot.Features.Interception.Entries;

public class ConnectHeadTests
{
    [Theory]
    [InlineData("CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n", "example.com", 443)]
    [InlineData("CONNECT Example.COM.:8443 HTTP/1.1\r\nHost: example.com\r\nProxy-Connection: keep-alive\r\n\r\n", "example.com", 8443)]
    [InlineData("CONNECT [2001:db8::1]:443 HTTP/1.1\r\nHost: [2001:db8::1]:443\r\n\r\n", "2001:db8::1", 443)]
    [InlineData("CONNECT 0x7f.1:443 HTTP/1.0\r\n\r\n", "127.0.0.1", 443)]
    public void A_proper_head_gives_its_canonical_target(string text, string host, int port)
    {
        Assert.True(ConnectHead.TryRead(Bytes(text), out var head, out var consumed));

        Assert.Null(head.Error);
        Assert.Equal((host, port), (head.Target.Host, head.Target.Port));
        Assert.True(Bytes(text).Slice(0, 0).Length == 0 && consumed.GetInteger() == text.Length);
    }

    [Theory]
    [InlineData("CONNECT example.com HTTP/1.1\r\n\r\n")]
    [InlineData("CONNECT example.com:0 HTTP/1.1\r\n\r\n")]
    [InlineData("CONNECT example.com:65536 HTTP/1.1\r\n\r\n")]
    [InlineData("CONNECT user@example.com:443 HTTP/1.1\r\n\r\n")]
    [InlineData("CONNECT b\u00fccher.example:443 HTTP/1.1\r\n\r\n")]
    [InlineData("CONNECT exa\u00a0mple.com:443 HTTP/1.1\r\n\r\n")]
    [InlineData("CONNECT http://example.com:443/ HTTP/1.1\r\n\r\n")]
    [InlineData("CONNECT  example.com:443 HTTP/1.1\r\n\r\n")]
    [InlineData("\tCONNECT example.com:443 HTTP/1.1\r\n\r\n")]
    [InlineData("CONNECT example.com:443\r HTTP/1.1\r\n\r\n")]
    [InlineData("CONNECT example.com:443 HTTP/2\r\n\r\n")]
    [InlineData("CONNECT example.com:443 HTTP/1.1\r\nHost: other.com:443\r\n\r\n")]
    [InlineData("CONNECT example.com:443 HTTP/1.1\r\nHost: example.com\r\nHost: example.com\r\n\r\n")]
    [InlineData("CONNECT example.com:443 HTTP/1.1\r\nHost : example.com\r\n\r\n")]
    [InlineData("CONNECT example.com:443 HTTP/1.1\r\nHos\u00a0t: other.com\r\n\r\n")]
    [InlineData("CONNECT example.com:443 HTTP/1.1\r\nX: a\r\n folded\r\n\r\n")]
    [InlineData("CONNECT example.com:443 HTTP/1.1\r\nX: a\nY: b\r\n\r\n")]
    [InlineData("CONNECT example.com:443 HTTP/1.1\r\nX: a\0b\r\n\r\n")]
    [InlineData("CONNECT example.com:443 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")]
    [InlineData("CONNECT example.com:443 HTTP/1.1\r\nContent-Length: 5\r\n\r\n")]
    public void A_malformed_head_is_refused_with_400(string text)
    {
        Assert.True(ConnectHead.TryRead(Bytes(text), out var head, out _));

        Assert.Equal(400, head.Error?.Status);
    }

    [Fact]
    public void A_head_is_incomplete_until_its_last_byte()
    {
        const string Text = "CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\nUser-Agent: x\r\n\r\n";
        for (var length = 0; length < Text.Length; length++)
            Assert.False(ConnectHead.TryRead(Bytes(Text[..length]), out _, out _));
    }

    [Theory]
    [InlineData(70_000, 1)]
    [InlineData(10, 201)]
    public void A_head_beyond_the_limits_is_refused_with_431(int size, int fields)
    {
        var text = "CONNECT example.com:443 HTTP/1.1\r\n" + string.Concat(Enumerable.Repeat($"X: {new string('a', size)}\r\n", fields)) + "\r\n";

        Assert.True(ConnectHead.TryRead(Bytes(text), out var head, out _));

        Assert.Equal(431, head.Error?.Status);
    }

    [Fact]
    public void Splitting_a_head_anywhere_changes_nothing() => Gen.Int[1, 60].Array[0, 5].Sample(cuts =>
    {
        const string Text = "CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\nrest";
        Assert.True(ConnectHead.TryRead(Segments.Split(Encoding.ASCII.GetBytes(Text), cuts), out var head, out _));
        Assert.Equal("example.com:443", head.Target.ToString());
    });

    [Fact]
    public void Random_bytes_never_throw() => Gen.Byte.Array[0, 300].Sample(bytes =>
    {
        var head = ConnectHead.TryRead(new ReadOnlySequence<byte>([.. "CONNECT "u8, .. bytes, .. "\r\n\r\n"u8]), out var parsed, out _);
        Assert.True(head && (parsed.Error is not null || parsed.Target.Port > 0));
    });

    private static ReadOnlySequence<byte> Bytes(string text) => new(Encoding.Latin1.GetBytes(text));
}
