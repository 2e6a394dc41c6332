using System.Buffers;
using System.Text;
using System.Text.RegularExpressions;
using Discobot.Features.Interception;
using Discobot.Infrastructure.Hosts;
using Discobot.Tests.Fixtures;

namespace Discobot.Fuzz;

/// <summary>The head of a CONNECT request: what is accepted can be read in one way only, wherever the reads end.</summary>
public sealed partial class ConnectHeads : FuzzTarget
{
    protected override string[] Words =>
    [
        "CONNECT ", "example.com", ":443", " HTTP/1.1", " HTTP/1.0", "\r\n", "\r\n\r\n", "\n", "\r", "\0", " ", "\t", ":", "Host: ", "Host:", "host : ",
        "example.com:443", "Proxy-Connection: keep-alive\r\n", "Transfer-Encoding: chunked\r\n", "Content-Length: 0\r\n", "Content-Length: 5\r\n",
        "[::1]", "[", "]", "%25eth0", "127.0.0.1", "0x7f.1", "@", "/", "é", "xn--", ".", "65536",
    ];

    protected override void Check(byte[] input)
    {
        var end = input.AsSpan().IndexOf("\r\n\r\n"u8);
        var taken = Read(new ReadOnlySequence<byte>(input));
        foreach (var size in (int[])[1, 7, 4096])
        {
            if (input.Length / size < 2000)
                Assert.Equal(taken, Read(Segments.Chop(input, size)));
        }

        if (end < 0)
        {
            Assert.Equal(input.Length >= ConnectHead.MaxBytes ? "431" : "more", taken.Said);
            return;
        }

        Assert.Equal(end + 4, taken.Consumed);
        foreach (var cut in (int[])[0, 1, end / 2, end, end + 3])
            Assert.True(cut >= ConnectHead.MaxBytes || Read(new ReadOnlySequence<byte>(input, 0, cut)).Said == "more");
        var text = Encoding.Latin1.GetString(input, 0, end);
        if (taken.Target is { } target)
            CheckAccepted(text, target);
        else
            Assert.True(end > ConnectHead.MaxBytes || Lines(text) > 200 ? taken.Said == "431" : taken.Said == "400");
    }

    private static void CheckAccepted(string text, string target)
    {
        Assert.Matches(AcceptablePattern(), text);
        Assert.DoesNotMatch(SmugglingPattern(), text);
        Assert.True(HostPattern().Count(text) <= 1);
        var again = Read(new ReadOnlySequence<byte>(Encoding.ASCII.GetBytes($"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n")));
        Assert.Equal(target, again.Target);
        var colon = target.LastIndexOf(':');
        Assert.InRange(int.Parse(target[(colon + 1)..], null), 1, 65535);
        Assert.True(CanonicalHost.TryParse(target[..colon], out var host));
        Assert.Equal(target[..colon].Trim('[', ']'), host.Name);
    }

    private static (string Said, string? Target, int Consumed) Read(ReadOnlySequence<byte> bytes)
    {
        if (!ConnectHead.TryRead(bytes, out var head, out var consumed))
            return ("more", null, 0);
        var length = (int)bytes.Slice(0, consumed).Length;
        if (head.Error is not { } error)
            return ("accepted", head.Target.ToString(), length);
        // It goes into a log line and an answer.
        Assert.InRange(error.Reason.Length, 1, 300);
        Assert.DoesNotContain(error.Reason, char.IsControl);
        return ($"{error.Status}", null, length);
    }

    private static int Lines(string text) => text.Split("\r\n").Length - 1;

    [GeneratedRegex(@"\A[^\s\0]+ [^\s\0]+ HTTP/1\.[01](?:\r\n[^\s:\0]+:[^\r\n\0]*)*\z")]
    private static partial Regex AcceptablePattern();

    [GeneratedRegex(@"\n(?:transfer-encoding\s*:|content-length\s*:(?>\s*)(?!0[\t ]*(?:\r|\z)))", RegexOptions.IgnoreCase)]
    private static partial Regex SmugglingPattern();

    [GeneratedRegex(@"\nhost\s*:", RegexOptions.IgnoreCase)]
    private static partial Regex HostPattern();
}
