namespace Discobot.Features.Cache.Policy;

/// <summary>What a body is to a registry client. A manifest's media type matters (OCI distribution 1.1), a blob's does not.</summary>
internal enum BodyKind : byte
{
    Blob = 0,
    Manifest = 1,
}

/// <summary>A SHA-256 that a URL path names.</summary>
/// <param name="Hash">The digest itself.</param>
/// <param name="Kind">Manifest only for <c>…/manifests/sha256:HEX</c>.</param>
/// <param name="IsAddress">
/// True when the path *is* the address of the content (a blob, a manifest, a registry's storage file), so that any other body under it is
/// an error. False when the digest merely occurs in the path, as in <c>/v2/x/referrers/sha256:HEX</c>, whose body is about the digest.
/// </param>
internal readonly record struct ContentDigest(Hash256 Hash, BodyKind Kind, bool IsAddress)
{
    private const string Prefix = "sha256:";
    private const string Folder = "/sha256/";

    /// <summary>
    /// Finds the digest of a path in the forms registries and their CDNs use: <c>…/blobs/sha256:HEX</c>, <c>…/manifests/sha256:HEX</c>,
    /// <c>…/sha256/ab/HEX/data</c> (distribution's storage layout) and <c>…/sha256/ab/HEX</c> (quay).
    /// </summary>
    public static ContentDigest? Find(ReadOnlySpan<char> path) => FindPrefixed(path) ?? FindFoldered(path);

    private static ContentDigest? FindPrefixed(ReadOnlySpan<char> path)
    {
        var at = path.LastIndexOf(Prefix);
        if (at < 0)
            return null;
        var rest = path[(at + Prefix.Length)..];
        if (rest.Length < Hash256.HexLength || !Hash256.TryParse(rest[..Hash256.HexLength], out var hash))
            return null;
        rest = rest[Hash256.HexLength..];
        if (!rest.IsEmpty && rest[0] != '/')
            return null;
        var before = path[..at];
        var manifest = before.EndsWith("/manifests/");
        return new(hash, manifest ? BodyKind.Manifest : BodyKind.Blob, rest.IsEmpty && (manifest || before.EndsWith("/blobs/")));
    }

    private static ContentDigest? FindFoldered(ReadOnlySpan<char> path)
    {
        if (path.EndsWith("/data"))
            path = path[..^"/data".Length];
        var at = path.LastIndexOf(Folder);
        if (at < 0)
            return null;
        var rest = path[(at + Folder.Length)..];
        return rest.Length == Hash256.HexLength + 3 && rest[2] == '/' && rest[3] == rest[0] && rest[4] == rest[1]
            && Hash256.TryParse(rest[3..], out var hash)
            ? new(hash, BodyKind.Blob, IsAddress: true)
            : null;
    }
}
