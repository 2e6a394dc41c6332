using System.Collections.Frozen;

namespace Discobot.Features.Cache.Policy;

/// <summary>
/// Which part of a query tells resources apart. What only signs a request, as storage services and CDNs do it, differs with every pull and is left
/// out; whatever else stands there (<c>?tagging</c>, <c>?comp=metadata</c>, <c>?versionId=…</c>) selects another resource.
/// </summary>
internal static class CountedQuery
{
    // S3 and its kin, Google, Alibaba, Tencent, Hugging Face.
    private static readonly string[] Families = ["x-amz-", "x-goog-", "x-oss-", "q-", "x-xet-"];

    private static readonly FrozenSet<string> Signing = new[]
    {
        // S3 version 2, CloudFront, Google version 2, Alibaba.
        "awsaccesskeyid", "googleaccessid", "ossaccesskeyid", "signature", "expires", "key-pair-id", "policy",
        // Azure's shared access signatures, without those that change the answer's fields (rscc, rscd, rsce, rscl, rsct).
        "sv", "ss", "srt", "sp", "st", "se", "spr", "sip", "si", "sr", "sdd", "skoid", "sktid", "skt", "ske", "sks", "skv", "saoid", "suoid", "scid", "sig",
        // Cloudflare, Akamai, Fastly.
        "verify", "token", "__token__", "hdnts", "hdnea", "hmac", "akamai_signature", "cf_sign", "cf_expiry",
        // GitHub, beside Azure's.
        "jwt",
    }.ToFrozenSet(StringComparer.OrdinalIgnoreCase);

    private static readonly FrozenSet<string> Signatures = new[]
    {
        "x-amz-signature", "x-goog-signature", "x-oss-signature", "q-signature", "signature", "sig",
    }.ToFrozenSet(StringComparer.OrdinalIgnoreCase);

    private static readonly string[] Secrets = ["token", "sig", "secret", "pass", "auth", "cred", "key", "jwt", "session"];

    /// <summary>What counts of a query.</summary>
    /// <param name="query">With its question mark, or empty.</param>
    /// <param name="namesContent">Whether the path names the digest of its content, so that a lone expiry or token cannot select another.</param>
    /// <returns>Empty, or with a question mark. Values of parameters whose name speaks of a secret are digests: a key is written to the disk.</returns>
    public static string Of(ReadOnlySpan<char> query, bool namesContent)
    {
        // An empty query is another address than none (RFC 3986, 6.2.3).
        if (query.Length <= 1)
            return namesContent ? "" : query.ToString();
        var parameters = query[1..].ToString().Split('&');
        var dropped = namesContent || parameters.Any(p => Signatures.Contains(NameOf(p)));
        var counted = parameters.Where(p => p.Length > 0 && !(dropped && IsSigning(NameOf(p)))).Select(Written).ToArray();
        return counted.Length == 0 ? "" : "?" + string.Join('&', counted);
    }

    /// <summary>An address without what signs it, which may then be kept; null where it is somebody's secret all the same.</summary>
    public static string? Unsigned(string location)
    {
        var fragment = location.IndexOf('#', StringComparison.Ordinal);
        var end = fragment < 0 ? location.Length : fragment;
        var mark = location.IndexOf('?', 0, end);
        if (mark < 0)
            return location;
        var parameters = location[(mark + 1)..end].Split('&');
        var isSigned = parameters.Any(p => Signatures.Contains(NameOf(p)));
        var kept = parameters.Where(p => !(isSigned && IsSigning(NameOf(p)))).ToArray();
        return kept.Any(p => Written(p) != p) ? null : location[..mark] + (kept.Length > 0 ? "?" + string.Join('&', kept) : "") + location[end..];
    }

    /// <summary>Whether a query is signed, by whomever: its bearer may read, and nobody else knows for how long.</summary>
    public static bool IsSigned(ReadOnlySpan<char> query) => query.Length > 1 && query[1..].ToString().Split('&').Any(p => Signatures.Contains(NameOf(p)));

    // What a storage service or CDN signs with: all of one line are there. A redirect to a login is signed as well (SAML: SigAlg, Signature).
    private static readonly string[][] StorageSignatures =
    [
        ["x-amz-signature", "x-amz-credential"], ["x-goog-signature", "x-goog-credential"], ["x-oss-signature"], ["q-signature", "q-ak"],
        ["signature", "key-pair-id"], ["signature", "awsaccesskeyid"], ["signature", "googleaccessid"], ["signature", "ossaccesskeyid"], ["sig", "se", "sv"],
    ];

    /// <summary>Whether a query is signed as those are that registries redirect to.</summary>
    public static bool IsSignedByStorage(string query)
    {
        var names = query.TrimStart('?').Split('&').Select(NameOf).ToHashSet(StringComparer.OrdinalIgnoreCase);
        return Array.Exists(StorageSignatures, names.IsSupersetOf);
    }

    private static bool IsSigning(string name) =>
        Signing.Contains(name) || Families.Any(family => name.StartsWith(family, StringComparison.OrdinalIgnoreCase));

    private static string Written(string parameter)
    {
        var (name, equals) = (NameOf(parameter), parameter.IndexOf('=', StringComparison.Ordinal));
        return equals >= 0 && (IsSigning(name) || Secrets.Any(word => name.Contains(word, StringComparison.OrdinalIgnoreCase)))
            ? $"{parameter[..equals]}=sha256:{Hash256.Of(parameter[(equals + 1)..])}"
            : parameter;
    }

    private static string NameOf(string parameter)
    {
        var equals = parameter.IndexOf('=', StringComparison.Ordinal);
        return Uri.UnescapeDataString(equals < 0 ? parameter : parameter[..equals]);
    }
}
