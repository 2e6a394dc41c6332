using System.Text;

namespace Discobot.Infrastructure.Http1;

public sealed class BodyFramingTests
{
    [Theory]
    [InlineData("200", "Content-Length: 5", "Length 5")]
    [InlineData("200", "Content-Length: 5\r\nContent-Length: 5", "Length 5")]
    [InlineData("200", "Content-Length: 5, 5", "Length 5")]
    [InlineData("200", "Content-Length: 0", "Length 0")]
    [InlineData("200", "X: 1", "Close 0")]
    [InlineData("200", "Transfer-Encoding: Chunked", "Chunked 0")]
    [InlineData("200", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "Chunked 0")]
    [InlineData("200", "Content-Length: 5\r\nTransfer-Encoding: chunked", "Chunked 0")]
    [InlineData("200", "Transfer-Encoding: chunked\r\nContent-Length: x", "Chunked 0")]
    [InlineData("200", "Transfer-Encoding: identity\r\nContent-Length: 5", "Length 5")]
    [InlineData("204", "Content-Length: 5", "None 0")]
    [InlineData("304", "Transfer-Encoding: chunked", "None 0")]
    [InlineData("101", "Content-Length: 5", "None 0")]
    public void Answers_end_where_the_RFC_says(string status, string fields, string expected) => Assert.Equal(expected, OfAnswer(status, fields, isHead: false));

    [Theory]
    [InlineData("Content-Length: 5")]
    [InlineData("Transfer-Encoding: chunked")]
    [InlineData("X: 1")]
    public void Answers_to_HEAD_have_no_body(string fields) => Assert.Equal("None 0", OfAnswer("200", fields, isHead: true));

    [Theory]
    [InlineData("Content-Length: 5\r\nContent-Length: 6", "differ")]
    [InlineData("Content-Length: 5, 6", "differ")]
    [InlineData("Content-Length: +5", "+5")]
    [InlineData("Content-Length: -1", "-1")]
    [InlineData("Content-Length: 0x5", "0x5")]
    [InlineData("Content-Length:", "malformed")]
    [InlineData("Content-Length: 5 5", "5 5")]
    [InlineData("Content-Length: 9223372036854775808", "9223372036854775808")]
    [InlineData("Transfer-Encoding: gzip, chunked", "gzip, chunked")]
    [InlineData("Transfer-Encoding: chunked, gzip", "chunked, gzip")]
    [InlineData("Transfer-Encoding: chunked, chunked", "chunked, chunked")]
    public void What_cannot_be_mended_is_refused_with_the_line(string fields, string says) =>
        Assert.Contains(says, Assert.Throws<MalformedMessageException>(() => OfAnswer("200", fields, isHead: false)).Message, StringComparison.Ordinal);

    [Theory]
    [InlineData("X: 1", 1, "None 0")]
    [InlineData("Content-Length: 0", 1, "None 0")]
    [InlineData("Content-Length: 5", 0, "Length 5")]
    [InlineData("Transfer-Encoding: chunked", 1, "Chunked 0")]
    public void Requests_have_a_body_when_they_say_so(string fields, int version, string expected) => Assert.Equal(expected, OfRequest(fields, version));

    [Theory]
    [InlineData("Content-Length: 5\r\nTransfer-Encoding: chunked", 1)]
    [InlineData("Content-Length: 5\r\nContent-Length: 6", 1)]
    [InlineData("Content-Length: +5", 1)]
    [InlineData("Transfer-Encoding: identity", 1)]
    [InlineData("Transfer-Encoding: gzip, chunked", 1)]
    [InlineData("Transfer-Encoding: chunked", 0)]
    [InlineData("Transfer-Encoding: ", 1)]
    [InlineData("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", 1)]
    public void Requests_that_two_could_read_differently_are_refused(string fields, int version) =>
        Assert.Throws<MalformedMessageException>(() => OfRequest(fields, version));

    private static string OfAnswer(string status, string fields, bool isHead) =>
        Show(BodyFraming.OfAnswer(ResponseHeadTests.Read($"HTTP/1.1 {status} X\r\n{fields}\r\n\r\n"), isHead));

    private static string OfRequest(string fields, int version)
    {
        var lines = new FieldLines();
        lines.Read(Encoding.Latin1.GetBytes(fields + "\r\n\r\n"), Strictness.Request);
        return Show(BodyFraming.OfRequest(lines, version));
    }

    private static string Show(BodyFraming framing) => $"{framing.End} {framing.Length}";
}
