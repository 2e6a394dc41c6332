using Discobot.Infrastructure.Wire;

namespace Discobot.Features.Cache;

/// <summary>
/// The name of an entry: host and path, such as <c>registry-1.docker.io/v2/library/ubuntu/blobs/sha256:…</c>. Its SHA-256 is the name of the
/// file that holds the body; the text itself is kept in the metadata beside it.
/// </summary>
/// <param name="Text">Host (with its port unless that is its scheme's) and path.</param>
/// <param name="Hash">SHA-256 of <paramref name="Text"/>.</param>
internal readonly record struct CacheKey(string Text, Hash256 Hash)
{
    /// <summary>The host part, with its port unless that is its scheme's.</summary>
    public string Host => HostOf(Text);

    /// <summary>
    /// Makes the key of a request. Where the path is the address of its content, the query string is a signature that changes with every pull
    /// and the scheme does not matter, as the body is verified; elsewhere the query belongs to the key, and so does port 80, so that what came
    /// over plain HTTP never answers for HTTPS.
    /// </summary>
    /// <param name="request">The request.</param>
    /// <param name="path">Its path with the colon of a digest unescaped.</param>
    /// <param name="digest">What the path names.</param>
    public static CacheKey Of(ProxiedRequest request, string path, ContentDigest? digest) => digest is { IsAddress: true }
        ? Of(request.Authority + path)
        : Of(string.Concat(request.Target.Port == 80 ? request.Target.ToString() : request.Authority, path,
            request.PathAndQuery.AsSpan(request.Path.Length)));

    public static CacheKey Of(string text) => new(text, Hash256.Of(text));

    public static string HostOf(string text) => text.IndexOf('/', StringComparison.Ordinal) is var slash and >= 0 ? text[..slash] : text;
}
