using System.Buffers;
using System.Text;
using Discobot.Infrastructure.Http1;
using Discobot.Infrastructure.Wire;
using Discobot.Tests.Fixtures;

namespace Discobot.Fuzz;

/// <summary>The head of a client's request: read the same wherever the reads end, and what is accepted has one reading.</summary>
public sealed class RequestHeads : FuzzTarget
{
    protected override string[] Words =>
    [
        "GET ", "OPTIONS * ", "POST /", "http://example.com/", "HTTPS://user@example.com:8443", " HTTP/1.1\r\n", " HTTP/1.0\r\n", "\r\n", "\r\n\r\n", "\n", "\r", "\0",
        " ", "\t", ":", "#", "?", "é", "Host: a\r\n", "host:b:80\r\n", "Content-Length: 5\r\n", "content-length: 5, 5\r\n", "Content-Length: +5\r\n",
        "Transfer-Encoding: chunked\r\n", "Transfer-Encoding: gzip, chunked\r\n", "Connection: close, X\r\n", "Upgrade: tcp\r\n", "Expect: 100-continue\r\n", "X: \r\n ",
    ];

    protected override void Check(byte[] input)
    {
        var whole = Read(new ReadOnlySequence<byte>(input));
        foreach (var size in (int[])[1, 7, 4096])
        {
            if (input.Length / size < 2000)
                Assert.Equal(whole.Said, Read(Segments.Chop(input, size)).Said);
        }

        if (whole.Head is not { } head)
            return;
        Assert.DoesNotContain(head.Target, c => c is <= ' ' or '\x7f');
        Assert.True(head.Fields.Lines.Count(line => line.Key.Equals("Host", StringComparison.OrdinalIgnoreCase)) <= 1);
        Assert.All(head.Fields.Lines, line => Assert.True(HttpToken.IsValid(line.Key) && !line.Value.AsSpan().ContainsAny("\r\n\0")));
        Assert.False(head.Fields.Contains("Content-Length") && head.Fields.Contains("Transfer-Encoding"));
        // Written anew it says the same.
        var text = $"{head.Method} {head.Target} HTTP/1.{head.MinorVersion}\r\n{string.Concat(head.Fields.Lines.Select(line => $"{line.Key}: {line.Value}\r\n"))}\r\n";
        Assert.Equal(whole.Said[(whole.Said.IndexOf(' ', StringComparison.Ordinal) + 1)..], Read(new ReadOnlySequence<byte>(Encoding.Latin1.GetBytes(text))).Said.Split(' ', 2)[1]);
    }

    private static (string Said, RequestHead? Head) Read(ReadOnlySequence<byte> input)
    {
        var head = new RequestHead();
        var blankLines = RequestHead.CountBlankLines(input);
        var taken = head.Read(input.Slice(2 * blankLines), out var error);
        if (error is not null)
        {
            Assert.DoesNotContain(error.Reason, char.IsControl);
            return ($"{taken} {error.Status} {error.Code}", null);
        }

        return taken == 0
            ? ("0 more", null)
            : ($"{taken} {head.Method} {head.Target} {head.Framing} {head.KeepsConnection} {head.AsksForUpgrade} {string.Join('|', head.Fields.Lines)}", head);
    }
}
