using System.Text;
using Discobot.Infrastructure.Http1;

namespace Discobot.Fuzz;

/// <summary>The head of an answer and what it says about its body: read the same wherever the reads end, and harmless when written anew.</summary>
public sealed class ResponseHeads : FuzzTarget
{
    protected override string[] Words =>
    [
        "HTTP/1.1 200 OK\r\n", "HTTP/1.0 999\n", "HTTP/1.1 204 \r\n", "\r\n", "\r\n\r\n", "\n\n", "\n", "\r", "\0", " ", "\t", ":", "\r\n ", "é",
        "Content-Length: 5\r\n", "Content-Length: 5, 5\r\n", "content-length : 6\r\n", "Content-Length:+5\r\n", "Transfer-Encoding: chunked\r\n",
        "Transfer-Encoding\r\n", "Transfer-Encoding: identity\r\n", "Transfer-Encoding:\r\n chunked\r\n", "Connection: close, X\r\n", "X Y: z\r\n",
    ];

    protected override void Check(byte[] input)
    {
        var whole = Read(input, input.Length);
        foreach (var piece in (int[])[1, 7, 4096])
        {
            if (input.Length / piece < 2000)
                Assert.Equal(whole, Read(input, piece));
        }

        // Written anew, strictly, it says the same: nothing of it can begin another line.
        if (whole.Fields is { } fields && fields.All(IsToken))
        {
            var again = new FieldLines();
            again.Read(Encoding.Latin1.GetBytes(string.Concat(fields.Select(f => f + "\r\n")) + "\r\n"), Strictness.Request);
            Assert.Equal(fields, Lines(again));
        }
    }

    private static Outcome Read(byte[] input, int piece)
    {
        var (head, scanned) = (new ResponseHead(), 0);
        for (var length = Math.Min(piece, input.Length); ; length = Math.Min(length + piece, input.Length))
        {
            try
            {
                var taken = head.Read(input.AsSpan(0, length), ref scanned);
                if (taken == 0 && length < input.Length)
                    continue;
                if (taken == 0)
                    return new("more", 0, null);
                Assert.InRange(head.Status, 100, 999);
                return new(Framing(head), taken, Lines(head.Fields));
            }
            catch (MalformedMessageException e)
            {
                // It goes into a log line and an answer.
                Assert.InRange(e.Message.Length, 1, 300);
                Assert.DoesNotContain(e.Message, char.IsControl);
                return new("malformed", 0, null);
            }
        }
    }

    private static string Framing(ResponseHead head)
    {
        try
        {
            return $"{head.Status} {head.KeepsConnection} {BodyFraming.OfAnswer(head, isHead: false)}";
        }
        catch (MalformedMessageException)
        {
            return "no framing";
        }
    }

    private static string[] Lines(FieldLines fields) =>
        [.. Enumerable.Range(0, fields.Count).Select(i => $"{Encoding.Latin1.GetString(fields.Name(i))}:{Encoding.Latin1.GetString(fields.Value(i))}")];

    private static bool IsToken(string line) => Infrastructure.Wire.HttpToken.IsValid(line.AsSpan(0, line.IndexOf(':', StringComparison.Ordinal)));

    private sealed record Outcome(string Said, int Taken, string[]? Fields)
    {
        public bool Equals(Outcome? other) =>
            other is not null && (Said, Taken) == (other.Said, other.Taken) && (Fields ?? []).SequenceEqual(other.Fields ?? []);

        public override int GetHashCode() => Said.GetHashCode(StringComparison.Ordinal);
    }
}
