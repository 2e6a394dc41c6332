using System.Buffers;
using System.IO.Pipelines;
using System.Text;
using Discobot.Infrastructure.Http1;

namespace Discobot.Features.Interception.Entries;

/// <summary>What the first byte of a connection says. Named after the protocol it begins.</summary>
internal enum FirstByte
{
    /// <summary>The client closed, or the wait was cancelled.</summary>
    None,

    /// <summary>The client has sent nothing so far.</summary>
    Silent,
    Http,
    Tls,
    Socks4,
    Socks5,
    Unknown,
}

/// <summary>Whether a connection begins with certain bytes.</summary>
internal enum Beginning
{
    Same,
    Other,

    /// <summary>The time was up before it was certain.</summary>
    Late,

    /// <summary>The client closed before it was certain, or the wait was cancelled.</summary>
    Gone,
}

/// <summary>Looks at the first byte of a connection and consumes nothing.</summary>
internal static class ProtocolSniffer
{
    // The longest registered method is UPDATEREDIRECTREF.
    private const int MaxMethod = 64;

    // What servers skip before a request and between its words, though only CRLF and a blank may stand there (RFC 9112, 2.2 and 3): what is a request to
    // one of them must not pass as another protocol. Whoever reads it refuses it.
    private static readonly SearchValues<byte> Blank = SearchValues.Create("\t\n\v\f\r "u8);

    // RFC 9110, 5.6.2.
    private static readonly SearchValues<byte> Token =
        SearchValues.Create("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"u8);

    /// <summary>How long a client may be silent before it is taken for one of a protocol whose server speaks first.</summary>
    public static readonly TimeSpan ServerFirst = TimeSpan.FromMilliseconds(700);

    // The same where no rule lets such a protocol through: its client may have been held up, and begin yet with what can be looked into.
    private static readonly TimeSpan LongestSilence = TimeSpan.FromSeconds(5);

    /// <summary>Waits for what a client of a tunnel begins with.</summary>
    /// <param name="input">Keeps the byte.</param>
    /// <param name="passesUnseen">Whether a client that says nothing would be let through; asked when it has said nothing.</param>
    /// <param name="cancellation">Ends the wait with <see cref="FirstByte.None"/>.</param>
    public static async ValueTask<FirstByte> AwaitClientAsync(PipeReader input, Func<bool> passesUnseen, CancellationToken cancellation)
    {
        var first = await PeekAsync(input, ServerFirst, cancellation);
        return first is FirstByte.Silent && !passesUnseen() ? await PeekAsync(input, LongestSilence, cancellation) : first;
    }

    /// <summary>Waits for the first byte.</summary>
    /// <param name="limit">How long to wait; <see cref="FirstByte.Silent"/> afterwards.</param>
    /// <param name="cancellation">Ends the wait with <see cref="FirstByte.None"/>.</param>
    public static async ValueTask<FirstByte> PeekAsync(PipeReader input, TimeSpan limit, CancellationToken cancellation)
    {
        if (!input.TryRead(out var read))
        {
            using var timeout = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
            timeout.CancelAfter(limit);
            try
            {
                read = await input.ReadAsync(timeout.Token);
            }
            catch (OperationCanceledException)
            {
                return cancellation.IsCancellationRequested ? FirstByte.None : FirstByte.Silent;
            }
            catch (IOException)
            {
                return FirstByte.None;
            }
        }

        var first = read.Buffer.IsEmpty ? FirstByte.None : Classify(read.Buffer.FirstSpan[0]);
        // Nothing examined: the next reader gets the same bytes at once.
        input.AdvanceTo(read.Buffer.Start);
        return first;
    }

    /// <summary>RFC 1928 (5), SOCKS4 (4), RFC 8446 handshake record (22), RFC 9110 method token (a letter), RFC 9112 2.2 (line ends before it, and what
    /// servers take for such).</summary>
    public static FirstByte Classify(byte first) => first switch
    {
        0x05 => FirstByte.Socks5,
        0x04 => FirstByte.Socks4,
        0x16 => FirstByte.Tls,
        >= (byte)'\t' and <= (byte)'\r' or (byte)' ' or >= (byte)'A' and <= (byte)'Z' or >= (byte)'a' and <= (byte)'z' => FirstByte.Http,
        _ => FirstByte.Unknown,
    };

    /// <summary>Whether the bytes to come begin with <paramref name="prefix"/>; reads until that is certain.</summary>
    /// <param name="input">Keeps them all, but for the blank lines that a request may have before it (RFC 9112, 2.2) where it is the same.</param>
    /// <param name="prefix">Of a request.</param>
    /// <param name="limit">For all of them together.</param>
    /// <param name="cancellation">Ends the wait.</param>
    public static async ValueTask<Beginning> StartsWithAsync(
        PipeReader input, ReadOnlyMemory<byte> prefix, TimeSpan limit, CancellationToken cancellation)
    {
        // As a rule a request arrives in one piece, and no clock is needed.
        if (input.TryRead(out var read) && Decide(input, read, prefix) is { } sure)
            return sure;
        using var timeout = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        timeout.CancelAfter(limit);
        try
        {
            while (!read.IsCompleted)
            {
                read = await input.ReadAsync(timeout.Token);
                if (Decide(input, read, prefix) is { } decided)
                    return decided;
            }
        }
        catch (OperationCanceledException)
        {
            return cancellation.IsCancellationRequested ? Beginning.Gone : Beginning.Late;
        }
        catch (IOException)
        {
            return Beginning.Gone;
        }

        return Beginning.Gone;
    }

    private static Beginning? Decide(PipeReader input, in ReadResult read, ReadOnlyMemory<byte> prefix)
    {
        var blankLines = BlankLinesOf(read.Buffer);
        var bytes = read.Buffer.Slice(2 * blankLines);
        var length = (int)Math.Min(bytes.Length, prefix.Length);
        var isHalf = length == 1 && bytes.FirstSpan[0] == '\r';
        // Too many are left to whoever reads the request, and refuses it.
        var same = blankLines <= RequestHead.MaxBlankLines && (isHalf || Matches(bytes.Slice(0, length), prefix.Span[..length]));
        var isCertain = !same || (length == prefix.Length && !isHalf);
        var start = same && isCertain ? bytes.Start : read.Buffer.Start;
        input.AdvanceTo(start, isCertain ? start : read.Buffer.End);
        return !isCertain ? null : same ? Beginning.Same : Beginning.Other;
    }

    /// <summary>Whether a connection that begins with a letter begins with a request (RFC 9112, 3): a token, a blank and a target. Other protocols
    /// begin with letters too: SSH says <c>SSH-2.0-…</c>, Redis and SMTP begin with words.</summary>
    /// <param name="input">Begins with a letter.</param>
    /// <param name="limit">How long to wait for certainty; without it, it is taken for a request, whose head has a limit of its own.</param>
    /// <param name="cancellation">Ends the wait.</param>
    public static async ValueTask<bool> IsRequestAsync(PipeReader input, TimeSpan limit, CancellationToken cancellation)
    {
        using var timeout = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        timeout.CancelAfter(limit);
        try
        {
            while (true)
            {
                var read = await input.ReadAsync(timeout.Token);
                var verdict = IsRequest(read.Buffer);
                var decided = verdict is not null || read.IsCompleted;
                input.AdvanceTo(read.Buffer.Start, decided ? read.Buffer.Start : read.Buffer.End);
                if (decided)
                    return verdict ?? true;
            }
        }
        catch (Exception e) when (e is OperationCanceledException or IOException)
        {
            // Whoever reads next has to see at once what is here, or its clock would run as if nothing were.
            input.CancelPendingRead();
            if (input.TryRead(out var read))
                input.AdvanceTo(read.Buffer.Start);
            return true;
        }
    }

    /// <returns>Null when more bytes are needed to tell.</returns>
    internal static bool? IsRequest(in ReadOnlySequence<byte> bytes)
    {
        var reader = new SequenceReader<byte>(bytes);
        if (SkipBlank(ref reader) > 2 * RequestHead.MaxBlankLines)
            return true;
        Span<byte> head = stackalloc byte[(int)Math.Min(reader.Remaining, MaxMethod + 1)];
        reader.UnreadSequence.Slice(0, head.Length).CopyTo(head);
        var end = head.IndexOfAnyExcept(Token);
        if (end < 0)
            return head.Length > MaxMethod ? false : null;
        // A word that ends its line asks for nothing. Anything else than a blank behind it is no request.
        if (head[end] is (byte)'\n' or (byte)'\r' || !Blank.Contains(head[end]))
            return false;
        reader.Advance(end);
        SkipBlank(ref reader);
        if (!reader.TryPeek(out var first))
            return null;
        // CONNECT names an authority, which may begin with anything a host does.
        if (first is (byte)'/' or (byte)'*' || head[..end].SequenceEqual("CONNECT"u8))
            return true;
        var target = reader.UnreadSequence;
        Span<byte> scheme = stackalloc byte[(int)Math.Min(target.Length, 4)];
        target.Slice(0, scheme.Length).CopyTo(scheme);
        if (Ascii.EqualsIgnoreCase(scheme, "http"u8[..scheme.Length]))
            return scheme.Length == 4 ? true : null;
        // Servers take any word for a target where a version of HTTP stands behind it.
        if (!reader.TryReadTo(out ReadOnlySequence<byte> line, (byte)'\n'))
            return target.Length > RequestHead.MaxLine ? true : null;
        return Encoding.Latin1.GetString(line).Contains(" HTTP/", StringComparison.OrdinalIgnoreCase);
    }

    // How many, up to more than may stand before a request.
    private static long SkipBlank(ref SequenceReader<byte> reader)
    {
        var skipped = 0;
        while (skipped <= 2 * RequestHead.MaxBlankLines && reader.TryPeek(out var next) && Blank.Contains(next))
        {
            reader.Advance(1);
            skipped++;
        }

        return skipped;
    }

    // One more than are allowed, and no further.
    private static int BlankLinesOf(in ReadOnlySequence<byte> bytes) =>
        RequestHead.CountBlankLines(bytes.Slice(0, Math.Min(bytes.Length, 2 * (RequestHead.MaxBlankLines + 1))));

    private static bool Matches(ReadOnlySequence<byte> bytes, ReadOnlySpan<byte> expected)
    {
        foreach (var segment in bytes)
        {
            if (!expected.StartsWith(segment.Span))
                return false;
            expected = expected[segment.Length..];
        }

        return true;
    }
}
