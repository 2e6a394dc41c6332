using System.Text;

namespace Discobot.Infrastructure.Http1;

public sealed class ChunkedDecoderTests
{
    [Theory]
    [InlineData("5\r\nhello\r\n0\r\n\r\n", "hello", "")]
    [InlineData("0\r\n\r\n", "", "")]
    [InlineData("00a;name=\"v;\"\r\n0123456789\r\n1\r\n!\r\n000;x\r\n\r\n", "0123456789!", "")]
    [InlineData("1\r\n\r\r\n1\r\n\n\r\n0\r\n\r\n", "\r\n", "")]
    [InlineData("2\r\nab\r\n0\r\nDigest: x\r\nB:2\r\n\r\n", "ab", "Digest=x B=2")]
    public void Bodies_are_read_the_same_wherever_the_reads_end(string text, string body, string trailers)
    {
        foreach (var strictness in (Strictness[])[Strictness.Request, Strictness.Answer])
        {
            for (var piece = 1; piece <= text.Length; piece++)
                Assert.Equal((body, trailers, text.Length), Decode(text + "next", piece, strictness));
        }
    }

    [Theory]
    [InlineData("5  \r\nhello\r\n0 \r\n\r\n", "hello")]
    [InlineData("5\nhello\n0\n\n", "hello")]
    [InlineData("5;x\nhello\r\n0\r\nA: 1\n\n", "hello")]
    public void What_servers_send_is_read_from_them_alone(string text, string body)
    {
        Assert.Equal(body, Decode(text, 1, Strictness.Answer).Body);
        Assert.Throws<MalformedMessageException>(() => Decode(text, 1, Strictness.Request));
    }

    [Theory]
    [InlineData("\r\n")]
    [InlineData("x\r\n")]
    [InlineData("+5\r\nhello\r\n0\r\n\r\n")]
    [InlineData("0x5\r\nhello\r\n0\r\n\r\n")]
    [InlineData(" 5\r\nhello\r\n0\r\n\r\n")]
    [InlineData("5 5\r\nhello\r\n0\r\n\r\n")]
    [InlineData("5\rhello\r\n0\r\n\r\n")]
    [InlineData("5\r\nhelloo\r\n0\r\n\r\n")]
    [InlineData("5\r\nhello0\r\n\r\n")]
    [InlineData("5\r\nhello\rx")]
    [InlineData("5;\0\r\nhello\r\n0\r\n\r\n")]
    [InlineData("8000000000000000\r\n")]
    [InlineData("fffffffffffffffff\r\n")]
    [InlineData(";x\r\n")]
    public void Malformed_chunks_are_refused(string text)
    {
        Assert.Throws<MalformedMessageException>(() => Decode(text, 1, Strictness.Request));
        Assert.Throws<MalformedMessageException>(() => Decode(text, text.Length, Strictness.Answer));
    }

    [Fact]
    public void Endless_lines_are_refused()
    {
        Assert.Throws<MalformedMessageException>(() => Decode("5;" + new string('x', 5000), 4096, Strictness.Answer));
        Assert.Throws<MalformedMessageException>(() => Decode(new string('0', 5000), 4096, Strictness.Answer));
        Assert.Throws<MalformedMessageException>(() => Decode("0\r\n" + new string('x', 300 << 10), 4096, Strictness.Answer));
    }

    internal static (string Body, string Trailers, int Taken) Decode(string text, int piece, Strictness strictness)
    {
        var bytes = Encoding.Latin1.GetBytes(text);
        var decoder = new ChunkedDecoder(strictness);
        var body = new StringBuilder();
        var taken = 0;
        while (!decoder.IsDone && taken < bytes.Length)
        {
            var rest = bytes.AsSpan(taken, Math.Min(piece, bytes.Length - taken));
            while (!rest.IsEmpty && !decoder.IsDone)
            {
                var framing = decoder.Advance(rest);
                var data = (int)Math.Min(decoder.DataLeft, rest.Length - framing);
                if (data > 0)
                {
                    body.Append(Encoding.Latin1.GetString(rest.Slice(framing, data)));
                    decoder.ReadData(data);
                }

                taken += framing + data;
                rest = rest[(framing + data)..];
            }
        }

        return (body.ToString(), decoder.Trailers is { } trailers ? string.Join(' ', ResponseHeadTests.Fields(trailers)) : "", taken);
    }
}
