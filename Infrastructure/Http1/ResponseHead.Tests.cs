using System.Text;

namespace Discobot.Infrastructure.Http1;

public sealed class ResponseHeadTests
{
    [Theory]
    [InlineData("HTTP/1.1 200 OK", 200, 1, "OK")]
    [InlineData("HTTP/1.0 404 Not Found", 404, 0, "Not Found")]
    [InlineData("HTTP/1.1 200", 200, 1, "")]
    [InlineData("HTTP/1.1 999 Request denied", 999, 1, "Request denied")]
    [InlineData("HTTP/1.1 200 ", 200, 1, "")]
    [InlineData("HTTP/1.1 200 zürich", 200, 1, "zürich")]
    [InlineData("\r\n\r\nHTTP/1.1 204 No Content", 204, 1, "No Content")]
    public void Status_lines_are_read_as_they_come(string line, int status, int version, string reason)
    {
        var head = Read(line + "\r\nA: 1\r\n\r\n");
        Assert.Equal((status, version, reason), (head.Status, head.MinorVersion, head.Reason));
    }

    [Theory]
    [InlineData("HTTP/2 200\r\n\r\n", "HTTP/2 200")]
    [InlineData("HTTP/1.1 20 OK\r\n\r\n", "HTTP/1.1 20 OK")]
    [InlineData("HTTP/1.1 2000 OK\r\n\r\n", "2000")]
    [InlineData("HTTP/1.1 +20 OK\r\n\r\n", "+20")]
    [InlineData("HTTP/1.1 099 OK\r\n\r\n", "099")]
    [InlineData("HTTP/1.1  200 OK\r\n\r\n", "  200")]
    [InlineData("SSH-2.0-OpenSSH", "SSH-2.0")]
    [InlineData("\u0015\u0003\u0001\0\u0002", "?????")]
    public void What_is_no_answer_is_refused_with_its_first_line(string text, string says) =>
        Assert.Contains(says, Assert.Throws<MalformedMessageException>(() => Read(text)).Message, StringComparison.Ordinal);

    [Fact]
    public void Names_and_values_keep_their_case_their_order_and_their_bytes()
    {
        var head = Read("HTTP/1.1 200 OK\r\nX-b: 1\r\nx-B:2\r\nX-Ctl: a\u0001b\u001b[0m\u007f\r\nX-Lat: z\u00fcrich\r\nEmpty:\r\nX: \t in  side \t\r\n\r\n");
        Assert.Equal(["X-b=1", "x-B=2", "X-Ctl=a\u0001b\u001b[0m\u007f", "X-Lat=z\u00fcrich", "Empty=", "X=in  side"], Fields(head.Fields));
    }

    [Theory]
    [InlineData("A : 1\r\nB: 2", "A=1 B=2")] // RFC 9112, 5.1
    [InlineData("A: 1\r\n  2\r\n\t3\r\nB: x", "A=1    2  \t3 B=x")] // 5.2
    [InlineData("A: 1\nB: 2", "A=1 B=2")] // 2.2
    [InlineData("A: 1\r2\0 3\r\nB: 2", "A=1 2  3 B=2")]
    [InlineData("X Powered By: foo", "X Powered By=foo")]
    [InlineData("X-Foo(bar): 1", "X-Foo(bar)=1")]
    [InlineData("garbage line\r\nB: 2", "garbage line= B=2")]
    [InlineData(": nameless\r\nB: 2", "B=2")]
    public void What_clients_take_is_mended_in_answers(string fields, string expected) =>
        Assert.Equal(expected, string.Join(' ', Fields(Read($"HTTP/1.1 200 OK\r\n{fields}\r\n\r\n").Fields)));

    [Theory]
    [InlineData("A : 1")]
    [InlineData("A: 1\r\n 2")]
    [InlineData("A: 1\nB: 2")]
    [InlineData("A: 1\r2")]
    [InlineData("A: 1\0")]
    [InlineData("A B: 1")]
    [InlineData(": 1")]
    [InlineData(" A: 1")]
    [InlineData("A")]
    [InlineData("A\u00fc: 1")]
    public void The_same_is_refused_in_requests(string fields) =>
        Assert.Throws<MalformedMessageException>(() => new FieldLines().Read(Encoding.Latin1.GetBytes(fields + "\r\n\r\n"), Strictness.Request));

    [Theory]
    [InlineData("HTTP/1.1 200 OK\r\nA: 1\r\nBcd: 2\r\n\r\n")]
    [InlineData("\r\nHTTP/1.0 200\nA: 1\n\n")]
    public void It_is_read_the_same_wherever_the_reads_end(string text)
    {
        var bytes = Encoding.Latin1.GetBytes(text + "rest");
        var whole = Read(text);
        var head = new ResponseHead();
        var scanned = 0;
        for (var length = 0; length < text.Length; length++)
            Assert.Equal(0, head.Read(bytes.AsSpan(0, length), ref scanned));
        Assert.Equal(text.Length, head.Read(bytes, ref scanned));
        Assert.Equal(Fields(whole.Fields), Fields(head.Fields));
    }

    [Fact]
    public void Heads_of_a_quarter_of_a_mebibyte_are_taken_and_no_longer_ones()
    {
        var fields = string.Concat(Enumerable.Range(0, 250).Select(i => $"Set-Cookie: c{i}={new string('x', 1000)}\r\n"));
        Assert.Equal(250, Read($"HTTP/1.1 200 OK\r\n{fields}\r\n").Fields.Count);
        Assert.Contains("256 KiB", Assert.Throws<MalformedMessageException>(() => Read($"HTTP/1.1 200 OK\r\n{fields}{fields}\r\n")).Message, StringComparison.Ordinal);
        Assert.Throws<MalformedMessageException>(() => Read($"HTTP/1.1 200 OK\r\n{fields}{fields}"));
    }

    [Theory]
    [InlineData("HTTP/1.1 200 OK\r\n", true)]
    [InlineData("HTTP/1.1 200 OK\r\nConnection: keep-alive, Close\r\n", false)]
    [InlineData("HTTP/1.1 200 OK\r\nConnection: x\r\nConnection: close\r\n", false)]
    [InlineData("HTTP/1.0 200 OK\r\n", false)]
    [InlineData("HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\n", true)]
    [InlineData("HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nTransfer-Encoding: chunked\r\n", false)]
    public void An_answer_says_whether_the_connection_goes_on(string head, bool keeps) => Assert.Equal(keeps, Read(head + "\r\n").KeepsConnection);

    internal static ResponseHead Read(string text)
    {
        var (head, scanned) = (new ResponseHead(), 0);
        var taken = head.Read(Encoding.Latin1.GetBytes(text), ref scanned);
        Assert.Equal(text.Length, taken);
        return head;
    }

    internal static string[] Fields(FieldLines fields) =>
        [.. Enumerable.Range(0, fields.Count).Select(i => $"{Encoding.Latin1.GetString(fields.Name(i))}={Encoding.Latin1.GetString(fields.Value(i))}")];
}
