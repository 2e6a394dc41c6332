using System.Buffers;
using System.Buffers.Binary;

namespace Discobot.Features.Interception.Tls;

public sealed class ClientHelloTests
{
    [Fact]
    public void Name_and_protocols_are_read_however_the_records_are_cut()
    {
        var name = Vector(2, [0, .. Vector(2, "a.test"u8)]);
        var hello = Message(Extension(0, name), Extension(16, Vector(2, [.. Vector(1, "h2"u8), .. Vector(1, "mqtt"u8)])));
        foreach (var size in new[] { 1, 5, 40, 9999 })
        {
            var records = Records(hello, size);
            Assert.True(ClientHello.TryRead(new ReadOnlySequence<byte>(records), out var read));
            Assert.Equal(("a.test", "h2,mqtt"), (read!.ServerName, string.Join(',', read.Protocols)));
            for (var length = 0; length < records.Length; length++)
                Assert.Null(ClientHello.TryRead(new ReadOnlySequence<byte>(records[..length]), out _));
        }
    }

    /// <summary>A name that cannot be read is none; what follows it is read all the same.</summary>
    [Theory]
    [InlineData("")]
    [InlineData("00")]
    [InlineData("0000")]
    [InlineData("000000")]
    [InlineData("0004 00 0006 61")]
    [InlineData("0004 01 0001 61")]
    [InlineData("0003 00 0000")]
    [InlineData("ffff 00 0001 61")]
    public void A_malformed_name_is_none(string extension)
    {
        var bytes = Convert.FromHexString(extension.Replace(" ", "", StringComparison.Ordinal));
        var hello = Message(Extension(0, bytes), Extension(16, Vector(2, Vector(1, "http/1.1"u8))));
        Assert.True(ClientHello.TryRead(new ReadOnlySequence<byte>(Records(hello, 9999)), out var read));
        Assert.Null(read!.ServerName);
        Assert.Equal(["http/1.1"], read.Protocols);
    }

    [Fact]
    public void What_ends_within_itself_is_no_hello()
    {
        var hello = Message(Extension(0, Vector(2, [0, .. Vector(2, "a.test"u8)])));
        // The length of all extensions says more than there is.
        hello[4 + 2 + 32 + 1 + 4 + 2 + 1]++;
        Assert.False(ClientHello.TryRead(new ReadOnlySequence<byte>(Records(hello, 9999)), out _));
        Assert.False(ClientHello.TryRead(new ReadOnlySequence<byte>([22, 3, 3, 0, 0]), out _));
        Assert.False(ClientHello.TryRead(new ReadOnlySequence<byte>([21, 3, 3, 0, 2, 1, 0]), out _));
    }

    private static byte[] Message(params byte[][] extensions)
    {
        byte[] body = [3, 3, .. new byte[32], 0, .. Vector(2, [0x13, 0x01]), .. Vector(1, [0]), .. Vector(2, extensions.SelectMany(e => e).ToArray())];
        return [1, 0, .. Vector(2, body)];
    }

    private static byte[] Extension(ushort type, byte[] data) => [(byte)(type >> 8), (byte)type, .. Vector(2, data)];

    private static byte[] Vector(int lengthSize, ReadOnlySpan<byte> content)
    {
        var length = new byte[2];
        BinaryPrimitives.WriteUInt16BigEndian(length, (ushort)content.Length);
        return [.. length.AsSpan(2 - lengthSize), .. content];
    }

    private static byte[] Records(byte[] message, int size) =>
        [.. message.Chunk(size).SelectMany(part => (byte[])[22, 3, 1, .. Vector(2, part)])];
}
