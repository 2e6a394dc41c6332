using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Discobot.Infrastructure.Wire;

namespace Discobot.Features.Certificates;

/// <summary>The CA whose leaves intercepted clients see: one pair of files, made once and kept for ten years.</summary>
internal sealed class CertificateAuthority : IDisposable
{
    private readonly AuthorityFiles _files;

    private CertificateAuthority(AuthorityFiles files, X509Certificate2 certificate, RSA key)
    {
        _files = files;
        Certificate = certificate;
        Key = key;
        Fingerprint = PemCertificates.Fingerprint(certificate);
    }

    /// <summary>Path of <c>ca.crt</c>, readable by everybody.</summary>
    public string CertificatePath => _files.CertificatePath;

    /// <summary>The certificate, without the key.</summary>
    public X509Certificate2 Certificate { get; }

    /// <summary>SHA-256 of the certificate, lower-case hex.</summary>
    public string Fingerprint { get; }

    /// <summary>The signing key. Several threads may sign at once: each signature has a context of its own in OpenSSL.</summary>
    public RSA Key { get; }

    /// <summary>
    /// Loads the pair of <paramref name="directory"/>, or makes one. A pair that cannot be used (damaged, of different keys, no CA,
    /// expired, or one file of the two) is moved aside and replaced, with a warning that says trust must be installed again.
    /// Processes that start at once end with the same pair.
    /// </summary>
    /// <exception cref="IOException">The files cannot be read or written; an unreadable pair is never replaced.</exception>
    /// <exception cref="UnauthorizedAccessException">The same, for want of permission.</exception>
    public static CertificateAuthority LoadOrCreate(string directory, TimeProvider clock, ILogger logger)
    {
        var files = new AuthorityFiles(directory);
        if (TryLoad(files, clock, logger) is { } existing)
            return existing;

        using var exclusive = files.Lock();
        return TryLoad(files, clock, logger) ?? Create(files, files.Read(clock.GetUtcNow()).Fault, clock, logger);
    }

    /// <summary>Loads the pair without changing anything.</summary>
    /// <param name="directory">Where the pair is.</param>
    /// <param name="clock">Judges expiry.</param>
    /// <param name="fault">Why there is none.</param>
    /// <returns>Null when there is no usable pair.</returns>
    public static CertificateAuthority? Load(string directory, TimeProvider clock, out string? fault)
    {
        var files = new AuthorityFiles(directory);
        var check = files.Read(clock.GetUtcNow());
        fault = check.Certificate is null ? check.Fault ?? $"there is no CA in {directory}" : null;
        return check.Certificate is null ? null : new CertificateAuthority(files, check.Certificate, check.Key!);
    }

    /// <summary>Reads the certificate alone, as everybody may.</summary>
    /// <exception cref="IOException">It cannot be read, or is no CA's certificate: nothing else may ever be trusted as one.</exception>
    /// <exception cref="UnauthorizedAccessException">Not even that.</exception>
    public static X509Certificate2 ReadCertificate(string path)
    {
        var certificate = PemCertificates.Read(File.ReadAllText(path), out _).FirstOrDefault()
            ?? throw new IOException($"{path} holds no certificate");
        return AuthorityCheck.IsAuthority(certificate) ? certificate : throw new IOException($"{path} is not the certificate of a CA");
    }

    /// <summary>Makes a new pair; the old one is kept beside it as <c>*.old-TIME</c>.</summary>
    /// <param name="directory">Where the pair is.</param>
    /// <param name="clock">Stamps and dates.</param>
    /// <param name="logger">Told what was made.</param>
    /// <param name="kept">Where the old files are now.</param>
    public static CertificateAuthority Rotate(string directory, TimeProvider clock, ILogger logger, out IReadOnlyList<string> kept)
    {
        var files = new AuthorityFiles(directory);
        using var exclusive = files.Lock();
        kept = files.MoveAside("old", clock.GetUtcNow());
        return Create(files, null, clock, logger);
    }

    public void Dispose()
    {
        Certificate.Dispose();
        Key.Dispose();
    }

    private static CertificateAuthority? TryLoad(AuthorityFiles files, TimeProvider clock, ILogger logger)
    {
        var check = files.Read(clock.GetUtcNow());
        if (check.Certificate is null)
            return null;
        Tighten(files, logger);
        return new CertificateAuthority(files, check.Certificate, check.Key!);
    }

    private static void Tighten(AuthorityFiles files, ILogger logger)
    {
        try
        {
            if (files.TightenKey())
                logger.LogWarning("{Path} was open to other users; that has been taken back", files.KeyPath);
        }
        catch (UnauthorizedAccessException)
        {
            logger.LogWarning("{Path} is open to other users and belongs to another one: chmod it to 0600", files.KeyPath);
        }
    }

    private static CertificateAuthority Create(AuthorityFiles files, string? fault, TimeProvider clock, ILogger logger)
    {
        var moved = fault is null ? [] : files.MoveAside("broken", clock.GetUtcNow());
        var (certificate, key) = AuthorityMint.Create(clock.GetUtcNow());
        files.Write(certificate, key);
        var authority = new CertificateAuthority(files, certificate, key);
        if (fault is null)
            logger.LogInformation("generated CA path={Path} sha256={Fingerprint}", files.CertificatePath, authority.Fingerprint);
        else
            logger.LogWarning(
                "the CA could not be used: {Fault}. It was moved aside ({Moved}) and a NEW CA was made (sha256={Fingerprint}): clients "
                + "that trusted the old one refuse every HTTPS connection until the new one is trusted; run `discobot trust install`, and "
                + "on every host where {Path} was installed by hand, install it again",
                fault, string.Join(", ", moved), authority.Fingerprint, files.CertificatePath);
        return authority;
    }
}
