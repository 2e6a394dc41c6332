using System.Globalization;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Discobot.Infrastructure.Native;

namespace Discobot.Features.Certificates;

/// <summary>
/// The pair on disk. The directory is 0711 where root made it: clients that run as other users are pointed at <c>ca.crt</c> by
/// NODE_EXTRA_CA_CERTS and must get through to it, yet may not list what else is there; <c>ca.key</c> is 0600 by itself. A directory
/// made by an ordinary user is 0700.
/// </summary>
internal sealed class AuthorityFiles(string directory)
{
    private const UnixFileMode PrivateFile = UnixFileMode.UserRead | UnixFileMode.UserWrite;
    private const UnixFileMode PublicFile = PrivateFile | UnixFileMode.GroupRead | UnixFileMode.OtherRead;
    private const UnixFileMode PrivateDirectory = PrivateFile | UnixFileMode.UserExecute;
    private const UnixFileMode Traversable = PrivateDirectory | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute;

    private static readonly TimeSpan LockLimit = TimeSpan.FromSeconds(30);

    public string CertificatePath { get; } = Path.Combine(directory, "ca.crt");

    public string KeyPath { get; } = Path.Combine(directory, "ca.key");

    /// <summary>Reads and checks the pair.</summary>
    /// <returns>The pair; or what is wrong with it; or neither when there is no file at all.</returns>
    /// <exception cref="IOException">A file cannot be read: that says nothing about the pair.</exception>
    /// <exception cref="UnauthorizedAccessException">The same, for want of permission.</exception>
    public AuthorityCheck Read(DateTimeOffset now)
    {
        var hasCertificate = Path.Exists(CertificatePath);
        var hasKey = Path.Exists(KeyPath);
        try
        {
            return (hasCertificate, hasKey) switch
            {
                (false, false) => default,
                (true, false) => AuthorityCheck.Broken("ca.key is missing"),
                (false, true) => AuthorityCheck.Broken("ca.crt is missing"),
                _ when !RegularFile.IsOrMissing(CertificatePath) => AuthorityCheck.Broken("ca.crt is no regular file"),
                _ when !RegularFile.IsOrMissing(KeyPath) => AuthorityCheck.Broken("ca.key is no regular file"),
                _ => AuthorityCheck.Of(File.ReadAllText(CertificatePath), File.ReadAllText(KeyPath), now),
            };
        }
        catch (FileNotFoundException e)
        {
            return AuthorityCheck.Broken($"{e.FileName} went away while it was read"); // somebody rotates: read again under the lock
        }
    }

    /// <summary>Writes a new pair, the key first: whoever sees the certificate can rely on the key.</summary>
    public void Write(X509Certificate2 certificate, RSA key)
    {
        AtomicFile.Write(KeyPath, Encoding.ASCII.GetBytes(key.ExportRSAPrivateKeyPem() + "\n"), PrivateFile);
        AtomicFile.Write(CertificatePath, Encoding.ASCII.GetBytes(certificate.ExportCertificatePem() + "\n"), PublicFile);
    }

    /// <summary>Renames what is there to <c>*.broken-TIME</c> or <c>*.old-TIME</c>; nothing is ever deleted.</summary>
    /// <returns>The new paths.</returns>
    public List<string> MoveAside(string word, DateTimeOffset now)
    {
        var moved = new List<string>();
        var stamp = now.UtcDateTime.ToString("yyyyMMdd'T'HHmmss'Z'", CultureInfo.InvariantCulture);
        // The certificate goes first, so that a reader never meets an old certificate without its key and takes that for the pair.
        foreach (var path in new[] { CertificatePath, KeyPath }.Where(Path.Exists))
        {
            var target = $"{path}.{word}-{stamp}";
            for (var n = 2; Path.Exists(target); n++)
                target = $"{path}.{word}-{stamp}-{n}";
            File.Move(path, target);
            moved.Add(target);
        }

        AtomicFile.SyncDirectory(directory);
        return moved;
    }

    /// <summary>Keeps other processes from making a pair at the same time; waits for them at most 30 s.</summary>
    /// <exception cref="IOException">The lock is held too long.</exception>
    public FileStream Lock()
    {
        Directory.CreateDirectory(directory, Environment.IsPrivilegedProcess ? Traversable : PrivateDirectory);
        var path = Path.Combine(directory, ".lock");
        var deadline = Environment.TickCount64 + (long)LockLimit.TotalMilliseconds;
        while (true)
        {
            try
            {
                return new FileStream(path, new FileStreamOptions
                {
                    Mode = FileMode.OpenOrCreate,
                    Access = FileAccess.ReadWrite,
                    Share = FileShare.None, // flock(2): given back by the kernel when its holder dies
                    UnixCreateMode = PrivateFile,
                });
            }
            catch (IOException) when (File.Exists(path) && Environment.TickCount64 < deadline)
            {
                Thread.Sleep(10);
            }
        }
    }

    /// <summary>
    /// Takes the key away from others, should a copy or a restore have widened its mode. A group may read it: that is how a proxy
    /// with a user of its own can be given a key that belongs to root.
    /// </summary>
    /// <returns>True when it had to.</returns>
    /// <exception cref="UnauthorizedAccessException">The key is another user's.</exception>
    public bool TightenKey()
    {
        const UnixFileMode open = UnixFileMode.OtherRead | UnixFileMode.OtherWrite | UnixFileMode.GroupWrite;
        var mode = File.GetUnixFileMode(KeyPath);
        if ((mode & open) == 0)
            return false;
        File.SetUnixFileMode(KeyPath, mode & ~open);
        return true;
    }
}
