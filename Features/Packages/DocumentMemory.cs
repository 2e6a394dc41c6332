using System.Runtime.InteropServices;

namespace Discobot.Features.Packages;

/// <summary>
/// What documents take of memory together: large ones are read for one client at a time, from where they outgrow <see cref="Small"/> until he has his
/// answer. Each may take some hundred MB, and a registry, or who pretends to be one, can make any number of clients ask at once.
/// </summary>
internal sealed class DocumentMemory : IDisposable
{
    /// <summary>Bytes of a document, as sent or unpacked, for which nobody waits.</summary>
    public const int Small = 8 << 20;

    // What was used in between is given back to the system: the next one may never come.
    private const int WorthCollecting = 32 << 20;

    private static readonly TimeSpan MaxWait = TimeSpan.FromMinutes(1);

    private readonly SemaphoreSlim _large = new(1);

    /// <summary>Waits until nobody else reads a large document, if this one is large.</summary>
    /// <param name="client">Who is answered; what is asked for on his behalf is all his.</param>
    /// <param name="size">Bytes of the document so far.</param>
    /// <exception cref="DocumentTooLargeException">Others went on for too long.</exception>
    public async ValueTask EnterAsync(HttpContext client, long size)
    {
        if (size <= Small)
            return;
        var lease = client.Features.Get<Lease>();
        if (lease is null)
        {
            if (!await _large.WaitAsync(MaxWait, client.RequestAborted))
                throw new DocumentTooLargeException();
            client.Features.Set(lease = new Lease(_large));
            client.Response.RegisterForDispose(lease);
        }

        lease.Most = Math.Max(lease.Most, size);
    }

    /// <summary>The body without its content coding and without a byte order mark; null when the coding is unknown, malformed, or hides too much.</summary>
    public async ValueTask<ReadOnlyMemory<byte>?> UnpackAsync(HttpContext client, OriginAnswer answer)
    {
        if (answer.Problem is not null)
            return null;
        var coding = answer.Fields.ContentEncoding.ToString().Trim().ToLowerInvariant();
        if (coding is "" or "identity")
            return Unmarked(answer.Body);
        using var packed = MemoryMarshal.TryGetArray(answer.Body, out var sent)
            ? new MemoryStream(sent.Array!, sent.Offset, sent.Count, writable: false) : new MemoryStream(answer.Body.ToArray());
        await using var unpacking = ContentCodings.Decoding(packed, coding);
        if (unpacking is null)
            return null;
        try
        {
            using var unpacked = new MemoryStream();
            var buffer = new byte[64 << 10];
            int count;
            while ((count = await unpacking.ReadAsync(buffer, client.RequestAborted)) > 0)
            {
                if (unpacked.Length + count > OriginAnswer.MaxUnpacked)
                    return null;
                await EnterAsync(client, unpacked.Length + count);
                unpacked.Write(buffer, 0, count);
            }

            return Unmarked(unpacked.GetBuffer().AsMemory(0, (int)unpacked.Length));
        }
        catch (Exception e) when (e is InvalidDataException or DocumentTooLargeException)
        {
            return null;
        }
    }

    public void Dispose() => _large.Dispose();

    // RFC 8259, 8.1: clients may ignore it, and npm does.
    private static ReadOnlyMemory<byte> Unmarked(ReadOnlyMemory<byte> text) => text.Span.StartsWith("\uFEFF"u8) ? text[3..] : text;

    private sealed class Lease(SemaphoreSlim large) : IDisposable
    {
        public long Most { get; set; }

        public void Dispose()
        {
            if (Most >= WorthCollecting)
                GC.Collect(2, GCCollectionMode.Aggressive, blocking: true, compacting: true);
            large.Release();
        }
    }
}
