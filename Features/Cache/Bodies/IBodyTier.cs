namespace Discobot.Features.Cache.Bodies;

/// <summary>
/// A place beyond this container's own directory that keeps bodies by their digest. It is asked where a body is not here, and each answer of it is
/// a claim: whoever reads it hashes it, and holds back its end until the digest is right. It never says whether a client may have a body: that
/// is the origin's word. Asked in the order of registration.
/// </summary>
internal interface IBodyTier
{
    /// <summary>Whether it is asked at once; the others only where no other container is about to have the body.</summary>
    bool IsNear => false;

    /// <summary>Opens a body.</summary>
    /// <param name="digest">Its SHA-256.</param>
    /// <param name="cancel">Nobody waits for it any more.</param>
    /// <returns>Null when it is not there, or the tier is away or slow. It does not throw, and has its own limit for its first byte.</returns>
    ValueTask<TierBody?> OpenAsync(Hash256 digest, CancellationToken cancel);

    /// <summary>Offers a complete, verified body whose digest an address names. Returns at once; what comes of it is the tier's.</summary>
    /// <param name="digest">Its SHA-256.</param>
    /// <param name="path">Its file in <c>cache.dir</c>: never changed, but unlinked whenever it is evicted. Whoever needs it longer links or copies it.</param>
    /// <param name="length">Bytes.</param>
    /// <param name="fromNear">Another container of this machine downloaded it, and offers it as well.</param>
    void Offer(Hash256 digest, string path, long length, bool fromNear);
}

/// <summary>A body as a tier gives it: not verified.</summary>
/// <param name="content">Read once, from its beginning. An <see cref="IOException"/>, or an end before <paramref name="length"/>, lets the rest be asked of
/// the origin; so each read has a limit.</param>
/// <param name="length">Bytes, as the tier says.</param>
/// <param name="from">The tier, to which it is not offered again.</param>
internal sealed class TierBody(Stream content, long length, IBodyTier from) : IDisposable
{
    public IBodyTier From { get; } = from;

    public Stream Content { get; } = content;

    public long Length { get; } = length;

    /// <summary>Told once all was read and has another digest: what the tier has under it is not that body.</summary>
    public Action? Wrong { get; init; }

    /// <summary>Told where the origin says that it has another length. That is no proof: an origin may say anything of a digest.</summary>
    public Action? Disputed { get; init; }

    /// <summary>Told of the download that reads it, and of the file that it is written to, before its first byte.</summary>
    public Action<Fill, TemporaryBody>? Begun { get; init; }

    public void Dispose() => Content.Dispose();
}
