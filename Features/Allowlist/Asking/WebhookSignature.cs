using System.Security.Cryptography;
using System.Text;

namespace Discobot.Features.Allowlist.Asking;

/// <summary>Standard Webhooks 1.0: what is signed is <c>ID.TIMESTAMP.BODY</c>, by HMAC-SHA256, so that neither an old post nor another's is taken for one.</summary>
internal static class WebhookSignature
{
    public const string Wanted = "must have at least 24 bytes, or be whsec_ and their base64";

    private const string Prefix = "whsec_";
    private const int LeastBytes = 24;

    /// <summary>Null: too short, or no base64 behind the prefix.</summary>
    public static byte[]? KeyOf(string secret)
    {
        if (!secret.StartsWith(Prefix, StringComparison.Ordinal))
            return Encoding.UTF8.GetBytes(secret) is { Length: >= LeastBytes } bytes ? bytes : null;
        var key = new byte[secret.Length];
        return Convert.TryFromBase64String(secret[Prefix.Length..], key, out var length) && length >= LeastBytes ? key[..length] : null;
    }

    /// <summary>The value of <c>webhook-signature</c>.</summary>
    public static string Of(byte[] key, string id, string timestamp, ReadOnlySpan<byte> body)
    {
        using var hash = IncrementalHash.CreateHMAC(HashAlgorithmName.SHA256, key);
        hash.AppendData(Encoding.UTF8.GetBytes($"{id}.{timestamp}."));
        hash.AppendData(body);
        return $"v1,{Convert.ToBase64String(hash.GetHashAndReset())}";
    }
}
