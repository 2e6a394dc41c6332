using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace Discobot.Features.Cache.Remote;

/// <summary>
/// Signs requests as Amazon's services want them: AWS Signature Version 4, in the <c>Authorization</c> field. Every field that the request has is signed,
/// but for those of the content; whoever adds one afterwards adds one that is not.
/// </summary>
internal static class AwsSignature
{
    /// <summary>For a body that is not read before it is sent.</summary>
    public const string UnsignedPayload = "UNSIGNED-PAYLOAD";

    /// <summary>SHA-256 of no bytes.</summary>
    public const string EmptyPayload = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    private const string Algorithm = "AWS4-HMAC-SHA256";

    /// <summary>Signs a request to S3: with <c>x-amz-content-sha256</c>, and with the path escaped once.</summary>
    /// <param name="request">Gets the fields; its method, address and fields do not change afterwards.</param>
    /// <param name="credentials">Whose signature it is.</param>
    /// <param name="region">Of the store.</param>
    /// <param name="payload">SHA-256 of the body in lower-case hex, or <see cref="UnsignedPayload"/>.</param>
    /// <param name="now">The server's time: more than a quarter of an hour beside it, a request is refused.</param>
    public static void SignS3(HttpRequestMessage request, AwsCredentials credentials, string region, string payload, DateTimeOffset now)
    {
        request.Headers.TryAddWithoutValidation("x-amz-content-sha256", payload);
        Sign(request, credentials, $"{region}/s3", payload, now);
    }

    /// <summary>Signs a request.</summary>
    /// <param name="request">As above.</param>
    /// <param name="credentials">As above.</param>
    /// <param name="scope">Region and service: <c>us-east-1/s3</c>.</param>
    /// <param name="payload">As above.</param>
    /// <param name="now">As above.</param>
    public static void Sign(HttpRequestMessage request, AwsCredentials credentials, string scope, string payload, DateTimeOffset now)
    {
        var time = now.UtcDateTime.ToString("yyyyMMdd'T'HHmmss'Z'", CultureInfo.InvariantCulture);
        request.Headers.TryAddWithoutValidation("x-amz-date", time);
        if (credentials.Token is { } token)
            request.Headers.TryAddWithoutValidation("x-amz-security-token", token);
        var fields = Fields(request);
        var signed = string.Join(';', fields.Select(f => f.Name));
        var canonical = string.Join('\n',
        [
            request.Method.Method,
            Path(request.RequestUri!),
            Query(request.RequestUri!),
            .. fields.Select(f => $"{f.Name}:{f.Value}"),
            "",
            signed,
            payload,
        ]);
        var day = time[..8];
        var full = $"{day}/{scope}/aws4_request";
        var text = $"{Algorithm}\n{time}\n{full}\n{Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(canonical)))}";
        var signature = Convert.ToHexStringLower(Hmac(Key(credentials.Secret, [day, .. scope.Split('/'), "aws4_request"]), text));
        request.Headers.TryAddWithoutValidation("Authorization", $"{Algorithm} Credential={credentials.Id}/{full}, SignedHeaders={signed}, Signature={signature}");
    }

    private static List<(string Name, string Value)> Fields(HttpRequestMessage request)
    {
        var host = request.Headers.Host ?? request.RequestUri!.Authority;
        return [.. request.Headers.NonValidated
            .Where(f => !f.Key.Equals("Host", StringComparison.OrdinalIgnoreCase))
            .Select(f => (f.Key.ToLowerInvariant(), string.Join(',', f.Value.Select(Collapsed))))
            .Append(("host", host))
            .OrderBy(f => f.Item1, StringComparer.Ordinal)];
    }

    // Blanks at the ends do not count, and those in a row count as one.
    private static string Collapsed(string value) => string.Join(' ', value.Split(' ', StringSplitOptions.RemoveEmptyEntries));

    private static string Path(Uri address) => string.Join('/', address.AbsolutePath.Split('/').Select(Escaped));

    private static string Query(Uri address) => string.Join('&', address.Query.TrimStart('?').Split('&', StringSplitOptions.RemoveEmptyEntries)
        .Select(pair => pair.Split('=', 2))
        .Select(pair => (Name: Escaped(pair[0]), Value: pair.Length > 1 ? Escaped(pair[1]) : ""))
        .OrderBy(pair => pair.Name, StringComparer.Ordinal).ThenBy(pair => pair.Value, StringComparer.Ordinal)
        .Select(pair => $"{pair.Name}={pair.Value}"));

    // RFC 3986, 2.3: all but the unreserved characters, whatever the address left as it was.
    private static string Escaped(string part) => Uri.EscapeDataString(Uri.UnescapeDataString(part));

    private static byte[] Key(string secret, string[] scope)
    {
        var key = Encoding.UTF8.GetBytes("AWS4" + secret);
        foreach (var part in scope)
            key = Hmac(key, part);
        return key;
    }

    private static byte[] Hmac(byte[] key, string text) => HMACSHA256.HashData(key, Encoding.UTF8.GetBytes(text));
}

/// <summary>Whose requests they are. Its text form shows nothing of them.</summary>
/// <param name="Id">The access key, which is sent.</param>
/// <param name="Secret">The secret key, which is not.</param>
/// <param name="Token">Of credentials for a time.</param>
/// <param name="Expires">When they end; null: nobody said.</param>
internal sealed record AwsCredentials(string Id, string Secret, string? Token = null, DateTimeOffset? Expires = null)
{
    public override string ToString() => "***";
}
