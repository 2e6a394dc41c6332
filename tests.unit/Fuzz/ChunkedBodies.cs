using System.Text;
using Discobot.Infrastructure.Http1;

namespace Discobot.Fuzz;

/// <summary>Chunked bodies: read the same wherever the reads end; what is taken from clients is taken from servers, as the same bytes.</summary>
public sealed class ChunkedBodies : FuzzTarget
{
    protected override string[] Words =>
    [
        "0\r\n\r\n", "5\r\nhello\r\n", "1\r\n", "a", "F", "00000000000000000", "7fffffffffffffff\r\n", "8000000000000000\r\n", ";", ";a=b", " ", "\t",
        "\r\n", "\n", "\r", "\0", "+5", "-1", "0x1", "Trailer: x\r\n", "Trailer: x\n", "A", ":", "0\r\nA: 1\r\n\r\n", "0\n\n",
    ];

    protected override void Check(byte[] input)
    {
        var strict = Decode(input, input.Length, Strictness.Request);
        var lenient = Decode(input, input.Length, Strictness.Answer);
        foreach (var piece in (int[])[1, 7, 4096])
        {
            Assert.Equal(strict, Decode(input, piece, Strictness.Request));
            Assert.Equal(lenient, Decode(input, piece, Strictness.Answer));
        }

        if (strict.Said != "malformed")
            Assert.Equal(strict, lenient);
        if (strict.Said == "done")
            Assert.Equal("\r\n", Encoding.Latin1.GetString(input, strict.Taken - 2, 2));
    }

    private static (string Said, int Taken, string Body) Decode(byte[] input, int piece, Strictness strictness)
    {
        var decoder = new ChunkedDecoder(strictness);
        var body = new StringBuilder();
        var taken = 0;
        try
        {
            while (!decoder.IsDone && taken < input.Length)
            {
                var rest = input.AsSpan(taken, Math.Min(Math.Max(piece, 1), input.Length - taken));
                var framing = decoder.Advance(rest);
                var data = (int)Math.Min(decoder.DataLeft, rest.Length - framing);
                if (data > 0)
                {
                    body.Append(Encoding.Latin1.GetString(rest.Slice(framing, data)));
                    decoder.ReadData(data);
                }

                Assert.True(framing + data > 0);
                taken += framing + data;
            }
        }
        catch (MalformedMessageException e)
        {
            Assert.DoesNotContain(e.Message, char.IsControl);
            return ("malformed", 0, "");
        }

        return (decoder.IsDone ? "done" : "more", taken, body.ToString());
    }
}
