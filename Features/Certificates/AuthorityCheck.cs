using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Discobot.Infrastructure.Wire;

namespace Discobot.Features.Certificates;

/// <summary>What reading a CA from disk came to: a usable pair, the fault that makes it unusable, or neither.</summary>
internal readonly record struct AuthorityCheck(X509Certificate2? Certificate, RSA? Key, string? Fault)
{
    // What the clocks of two machines may differ, and what passes while a pair is made.
    private static readonly TimeSpan Skew = TimeSpan.FromMinutes(5);

    public static AuthorityCheck Broken(string fault) => new(null, null, fault);

    /// <summary>Checks that both parse, belong together and can sign leaves now.</summary>
    public static AuthorityCheck Of(string certificatePem, string keyPem, DateTimeOffset now)
    {
        if (PemCertificates.Read(certificatePem, out _).FirstOrDefault() is not { } certificate)
            return Broken("ca.crt holds no certificate that parses");
        if (ReadKey(keyPem) is not { } key)
            return Broken("ca.key holds no RSA key that parses");
        var fault = FindFault(certificate, key, now);
        return fault is null ? new AuthorityCheck(certificate, key, null) : Broken(fault);
    }

    /// <summary>Whether its basic constraints make it a CA (RFC 5280, 4.2.1.9).</summary>
    public static bool IsAuthority(X509Certificate2 certificate) =>
        certificate.Extensions.OfType<X509BasicConstraintsExtension>().FirstOrDefault() is { CertificateAuthority: true };

    private static RSA? ReadKey(string pem)
    {
        var key = RSA.Create();
        try
        {
            key.ImportFromPem(pem);
            return key;
        }
        catch (Exception e) when (e is ArgumentException or CryptographicException)
        {
            key.Dispose();
            return null;
        }
    }

    private static string? FindFault(X509Certificate2 certificate, RSA key, DateTimeOffset now)
    {
        if (!Match(certificate, key))
            return "ca.key is not the key of ca.crt";
        if (!IsAuthority(certificate))
            return "ca.crt is not the certificate of a CA";
        if (certificate.Extensions.OfType<X509KeyUsageExtension>().FirstOrDefault() is { } usage
            && !usage.KeyUsages.HasFlag(X509KeyUsageFlags.KeyCertSign))
            return "ca.crt may not sign certificates (key usage)";
        var end = certificate.NotAfter.ToUniversalTime();
        var begin = certificate.NotBefore.ToUniversalTime();
        if (begin > now.UtcDateTime + Skew)
            return $"ca.crt is not valid before {begin:u}: it was made while the clock was ahead, or the clock is wrong now ({now.UtcDateTime:u})";
        return end <= now.UtcDateTime ? $"ca.crt expired on {end:u}" : null;
    }

    // A trial signature besides the comparison: it also finds a private part that was damaged.
    private static bool Match(X509Certificate2 certificate, RSA key)
    {
        using var publicKey = certificate.GetRSAPublicKey();
        if (publicKey is null)
            return false;
        try
        {
            var signature = key.SignData("trial"u8, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
            return publicKey.VerifyData("trial"u8, signature, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
        }
        catch (CryptographicException)
        {
            return false;
        }
    }
}
