using System.IO.Pipelines;
using Discobot.Features.Interception;
using Discobot.Infrastructure.Http1;

namespace Discobot.Fuzz;

/// <summary>The first bytes of a connection, however they arrive. The first byte of an input says in what pieces the others come.</summary>
public sealed class Sniffing : FuzzTarget
{
    private static readonly byte[][] Prefixes = ["CONNECT "u8.ToArray(), "PRI * HTTP/2.0\r\n"u8.ToArray()];

    protected override string[] Words => ["CONNECT ", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "GET / HTTP/1.1\r\n", "\u0005\u0001\0", "\u0004\u0001", "\u0016\u0003\u0001"];

    protected override void Check(byte[] input)
    {
        if (input.Length == 0)
            return;
        var (bytes, size) = (input[1..], input[0] % 20 + 1);
        CheckPeek(bytes);
        foreach (var prefix in Prefixes)
            CheckPrefix(bytes, size, prefix);
    }

    private static void CheckPeek(byte[] bytes)
    {
        var pipe = NewPipe();
        Write(pipe, bytes);
        pipe.Writer.Complete();
        var first = ProtocolSniffer.PeekAsync(pipe.Reader, TimeSpan.FromSeconds(30), default).AsTask().GetAwaiter().GetResult();
        Assert.Equal(bytes.Length == 0 ? "None" : Named(bytes[0]), first.ToString());
        Assert.Equal(bytes, Rest(pipe));
    }

    // Decided with the first byte that differs or the last of the prefix, not before and not later; and nothing is taken.
    private static void CheckPrefix(byte[] bytes, int size, byte[] prefix)
    {
        var pipe = NewPipe();
        // Blank lines before a request are none of it, unless there are too many (RFC 9112, 2.2).
        var blank = 0;
        while (blank <= RequestHead.MaxBlankLines && bytes.AsSpan(2 * blank).StartsWith("\r\n"u8))
            blank++;
        var isFlood = blank > RequestHead.MaxBlankLines;
        var begun = bytes[(2 * blank)..];
        var same = isFlood ? 0 : begun.Zip(prefix).TakeWhile(pair => pair.First == pair.Second).Count();
        var needed = 2 * blank + (isFlood ? 0 : begun is [(byte)'\r', ..] ? 2 : Math.Min(same + 1, prefix.Length));
        var asked = ProtocolSniffer.StartsWithAsync(pipe.Reader, prefix, TimeSpan.FromSeconds(30), default).AsTask();
        var sent = 0;
        foreach (var piece in bytes.Chunk(size))
        {
            Write(pipe, piece);
            sent += piece.Length;
            Assert.Equal(sent >= needed, asked.IsCompleted);
        }

        pipe.Writer.Complete();
        Assert.Equal(sent < needed ? Beginning.Gone : same == prefix.Length ? Beginning.Same : Beginning.Other, asked.WaitAsync(TimeSpan.FromSeconds(30)).GetAwaiter().GetResult());
        Assert.Equal(same == prefix.Length ? begun : bytes, Rest(pipe));
    }

    private static string Named(byte first) => (char)first switch
    {
        '\x05' => "Socks5",
        '\x04' => "Socks4",
        '\x16' => "Tls",
        var c when "\t\n\v\f\r ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz".Contains(c) => "Http",
        _ => "Unknown",
    };

    // Continuations run where the bytes are written, so that nothing here waits.
    private static Pipe NewPipe() =>
        new(new PipeOptions(null, PipeScheduler.Inline, PipeScheduler.Inline, 0, 0, minimumSegmentSize: 16, useSynchronizationContext: false));

    private static void Write(Pipe pipe, byte[] bytes) => pipe.Writer.WriteAsync(bytes).AsTask().GetAwaiter().GetResult();

    private static byte[] Rest(Pipe pipe)
    {
        var all = new List<byte>();
        while (pipe.Reader.TryRead(out var read))
        {
            foreach (var segment in read.Buffer)
                all.AddRange(segment.Span);
            pipe.Reader.AdvanceTo(read.Buffer.End);
            if (read.IsCompleted)
                break;
        }

        return [.. all];
    }
}
