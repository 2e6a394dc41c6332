using System.Buffers;
using System.IO.Pipelines;
using System.Text;

namespace Discobot.Features.Interception.Entries;

public class ProtocolSnifferTests
{
    private static readonly TimeSpan Long = TimeSpan.FromSeconds(30);

    [Theory]
    [InlineData(new byte[] { 5 }, "Socks5")]
    [InlineData(new byte[] { 4 }, "Socks4")]
    [InlineData(new byte[] { 0x16, 3, 1 }, "Tls")]
    [InlineData(new byte[] { (byte)'G' }, "Http")]
    [InlineData(new byte[] { 0 }, "Unknown")]
    [InlineData(new byte[] { 0xff }, "Unknown")]
    public async Task The_first_byte_tells_the_protocol_and_stays_unread(byte[] bytes, string expected)
    {
        var pipe = new Pipe();
        await pipe.Writer.WriteAsync(bytes);

        Assert.Equal(expected, (await ProtocolSniffer.PeekAsync(pipe.Reader, Long, default)).ToString());

        var read = await pipe.Reader.ReadAsync();
        Assert.Equal(bytes.Length, read.Buffer.Length);
    }

    [Fact]
    public async Task Silence_and_an_early_end_are_told_apart()
    {
        var silent = new Pipe();
        var closed = new Pipe();
        await closed.Writer.CompleteAsync();

        Assert.Equal(FirstByte.Silent, await ProtocolSniffer.PeekAsync(silent.Reader, TimeSpan.FromMilliseconds(10), default));
        Assert.Equal(FirstByte.None, await ProtocolSniffer.PeekAsync(closed.Reader, Long, default));
    }

    [Fact]
    public async Task Every_single_byte_may_arrive_alone()
    {
        var pipe = new Pipe();
        var asked = ProtocolSniffer.StartsWithAsync(pipe.Reader, "CONNECT "u8.ToArray(), Long, default).AsTask();
        foreach (var b in "CONNECT "u8.ToArray())
        {
            Assert.False(asked.IsCompleted);
            await pipe.Writer.WriteAsync(new[] { b });
        }

        Assert.Equal(Beginning.Same, await asked);
        Assert.Equal(8, (await pipe.Reader.ReadAsync()).Buffer.Length);
    }

    [Fact]
    public async Task The_time_is_for_all_bytes_together()
    {
        var pipe = new Pipe();
        var closed = new Pipe();
        await closed.Writer.WriteAsync("CON"u8.ToArray());
        await closed.Writer.CompleteAsync();

        var asked = ProtocolSniffer.StartsWithAsync(pipe.Reader, "CONNECT "u8.ToArray(), TimeSpan.FromMilliseconds(300), default).AsTask();
        for (var i = 0; i < 7 && !asked.IsCompleted; i++)
        {
            await pipe.Writer.WriteAsync("CONNECT"u8.ToArray().AsMemory(i, 1));
            await Task.Delay(100);
        }

        Assert.Equal(Beginning.Late, await asked);
        Assert.Equal(Beginning.Gone, await ProtocolSniffer.StartsWithAsync(closed.Reader, "CONNECT "u8.ToArray(), Long, default));
    }

    [Fact]
    public async Task A_difference_is_seen_at_once()
    {
        var pipe = new Pipe();
        await pipe.Writer.WriteAsync("CONQ"u8.ToArray());

        Assert.Equal(Beginning.Other, await ProtocolSniffer.StartsWithAsync(pipe.Reader, "CONNECT "u8.ToArray(), Long, default));
    }

    [Theory]
    [InlineData("GET / HTTP/1.1\r\n", true)]
    [InlineData("OPTIONS * HTTP/1.1\r\n", true)]
    [InlineData("PROPFIND http://host/ HTTP/1.1\r\n", true)]
    [InlineData("GET HTTPS://host/ HTTP/1.1\r\n", true)]
    [InlineData("CONNECT host:443 HTTP/1.1\r\n", true)]
    [InlineData("PRI * HTTP/2.0\r\n", true)]
    [InlineData("SSH-2.0-OpenSSH_9.2p1 Debian\r\n", false)]
    [InlineData("PING\r\n", false)]
    [InlineData("EHLO example.org\r\n", false)]
    [InlineData("NICK agent\r\n", false)]
    [InlineData("AMQP\0\0\t\u0001", false)]
    [InlineData("\r\n\r\nGET / HTTP/1.1\r\n", true)]
    [InlineData("\r\n\r\nPING\r\n", false)]
    [InlineData("\r\n\r\n\r", null)]
    [InlineData("\nPOST / HTTP/1.1\r\n", true)]
    [InlineData("\n\n \t\v\fPOST / HTTP/1.1\r\n", true)]
    [InlineData("GET\t/ HTTP/1.1\r\n", true)]
    [InlineData("GET  /secret HTTP/1.1\r\n", true)]
    [InlineData("GET  http://host/ HTTP/1.1\r\n", true)]
    [InlineData("GET secret http/1.1\n", true)]
    [InlineData("GET secret HTTP/1", null)]
    [InlineData("\nPING\r\n", false)]
    [InlineData(" EHLO example.org\r\n", false)]
    [InlineData("\n", null)]
    [InlineData("GET", null)]
    [InlineData("GET ", null)]
    [InlineData("GET ht", null)]
    public void A_request_is_told_from_other_protocols_that_begin_with_letters(string text, bool? expected) =>
        Assert.Equal(expected, ProtocolSniffer.IsRequest(new ReadOnlySequence<byte>(Encoding.Latin1.GetBytes(text))));
}
