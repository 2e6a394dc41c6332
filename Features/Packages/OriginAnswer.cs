using System.Runtime.InteropServices;

namespace Discobot.Features.Packages;

/// <summary>What an origin answered to an <see cref="OriginQuestion"/>.</summary>
internal sealed record OriginAnswer(int Status, IHeaderDictionary Fields, ReadOnlyMemory<byte> Body)
{
    /// <summary>Bytes of a document when it is unpacked.</summary>
    public const int MaxUnpacked = 256 << 20;

    /// <summary>It was no document; the client has it.</summary>
    public static readonly OriginAnswer Passed = new(0, new HeaderDictionary(), default);

    /// <summary>Why it cannot be used; null when it can.</summary>
    public string? Problem { get; init; }

    /// <summary>The body without its content coding; null when that is unknown, malformed, or too large.</summary>
    public async ValueTask<ReadOnlyMemory<byte>?> UnpackAsync(CancellationToken cancel)
    {
        if (Problem is not null)
            return null;
        var coding = Fields.ContentEncoding.ToString().Trim().ToLowerInvariant();
        if (coding is "" or "identity")
            return Body;
        using var packed = MemoryMarshal.TryGetArray(Body, out var sent)
            ? new MemoryStream(sent.Array!, sent.Offset, sent.Count, writable: false) : new MemoryStream(Body.ToArray());
        await using var unpacking = ContentCodings.Decoding(packed, coding);
        if (unpacking is null)
            return null;
        try
        {
            using var unpacked = new MemoryStream();
            var buffer = new byte[64 << 10];
            int count;
            while ((count = await unpacking.ReadAsync(buffer, cancel)) > 0)
            {
                if (unpacked.Length + count > MaxUnpacked)
                    return null;
                unpacked.Write(buffer, 0, count);
            }

            return unpacked.GetBuffer().AsMemory(0, (int)unpacked.Length);
        }
        catch (InvalidDataException)
        {
            return null;
        }
    }
}
