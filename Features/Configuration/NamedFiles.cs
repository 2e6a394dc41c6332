using System.Security.Cryptography;
using System.Text;
using Discobot.Infrastructure.Config;
using Discobot.Infrastructure.Native;
using Discobot.Infrastructure.Wire;

namespace Discobot.Features.Configuration;

/// <summary>How far the files that a configuration names are looked at.</summary>
internal enum FileChecks
{
    None,

    /// <summary>Those without which the proxy does not start.</summary>
    ForStart,

    /// <summary>Also those without which it would run otherwise than the file says: secrets, the token, a pair that it would replace.</summary>
    All,
}

/// <summary>Whether this process could use the files that a configuration names. What cannot be used is an error where it is written; nothing is
/// made or changed.</summary>
internal static class NamedFiles
{
    private const int MaxSecret = 64 * 1024;

    /// <param name="root">The file.</param>
    /// <param name="certDir">Where tls.cert_dir is written.</param>
    /// <param name="logFile">Where logging.file is written.</param>
    /// <param name="settings">What they mean.</param>
    /// <param name="writtenOnly">Whether directories that nobody named are left out: where they lie depends on who starts the proxy.</param>
    public static void CheckForStart(ConfigNode root, ConfigNode certDir, ConfigNode logFile, ProxySettings settings, bool writtenOnly)
    {
        foreach (var node in root["tls"]["extra_ca"].Items())
        {
            if (PathOf(node) is { } path)
                Tell(node, path, ReadingProblem(path) ?? PemProblem(path));
        }

        if (settings.Logging.File is { } log)
            Tell(logFile, log, AppendingProblem(log));
        if (settings.Cache.Enabled && !(writtenOnly && root["cache"]["dir"].IsAbsent))
            Tell(root["cache"]["dir"], settings.Cache.Dir, DirectoryProblem(settings.Cache.Dir));
        if (!(writtenOnly && certDir.IsAbsent))
            Tell(certDir, settings.Tls.CertDir, Path.Exists(Path.Combine(settings.Tls.CertDir, "ca.crt")) ? null : DirectoryProblem(settings.Tls.CertDir));
    }

    public static void CheckForUse(ConfigNode root, ConfigNode certDir, ProxySettings settings)
    {
        foreach (var node in SecretsOf(root))
        {
            // A pipe is a good place for a secret, and whoever looks takes it out.
            if (node.Written is { } text && text.StartsWith("file:/", StringComparison.Ordinal) && Libc.StatusOf(text[5..]) is not { Kind: FileKind.Other })
                Tell(node, text[5..], ReadingProblem(text[5..]) ?? SecretProblem(text[5..]));
        }

        if (settings.Api.IsProtected && !root["api"]["token_file"].IsAbsent)
            Tell(root["api"]["token_file"], settings.Api.TokenFile, TokenProblem(settings.Api.TokenFile));
        if (!certDir.IsAbsent)
            Tell(certDir, settings.Tls.CertDir, PairProblem(settings.Tls.CertDir));
    }

    private static void Tell(ConfigNode node, string path, string? problem)
    {
        if (problem is not null)
            node.Error($"{path} {problem}");
    }

    private static string? PathOf(ConfigNode node) =>
        node.Written is { } text && !text.Any(char.IsControl) ? Path.GetFullPath(text) : null;

    private static IEnumerable<ConfigNode> SecretsOf(ConfigNode root)
    {
        foreach (var (_, rule) in root["headers"].Entries().Where(entry => entry.Value.IsMapping))
        {
            foreach (var (_, value) in rule["set"].Entries().Concat(rule["append"].Entries()))
                yield return value;
            foreach (var condition in rule["conditions"].Items().Where(item => item.IsMapping))
                yield return condition["equals"];
        }

        foreach (var (_, password) in root["socks"]["users"].Entries())
            yield return password;
        yield return root["proxy"]["upstream"];
    }

    // Opened only when it is a regular file: a pipe would wait for its writer.
    private static string? ReadingProblem(string path)
    {
        if (Libc.StatusOf(path) is not { } status)
            return Path.Exists(path) ? "may not be read by this user" : "does not exist";
        if (status.Kind != FileKind.Regular)
            return Directory.Exists(path) ? "is a directory, not a file" : "is no regular file";
        try
        {
            using var file = File.OpenHandle(path);
            return null;
        }
        catch (UnauthorizedAccessException)
        {
            return "may not be read by this user";
        }
        catch (IOException error)
        {
            return $"cannot be read: {error.Message}";
        }
    }

    private static string? PemProblem(string path)
    {
        var text = File.ReadAllText(path);
        if (PemCertificates.Read(text, out var damaged).Count == 0)
        {
            return damaged > 0 ? "holds a certificate that does not parse"
                : text.StartsWith('0') ? "holds no certificate in PEM; if it is DER, `openssl x509 -inform der` converts it"
                : "holds no certificate in PEM";
        }

        return damaged > 0 ? $"holds {damaged} certificates that do not parse" : null;
    }

    private static string? AppendingProblem(string path)
    {
        if (Directory.Exists(path))
            return "is a directory, not a file";
        // A pipe that somebody reads will do, as /dev/stdout may be one; opening any other would wait for its reader.
        if (Libc.StatusOf(path) is { Kind: FileKind.Other } && Libc.MayWrite(path))
        {
            using var opened = Libc.OpenAt(
                Libc.CurrentDirectory, Encoding.UTF8.GetBytes(path + "\0"), Libc.WriteOnly | Libc.NonBlocking | Libc.CloseOnExec, 0);
            return opened.IsInvalid ? "is a pipe that nobody reads" : null;
        }

        if (Path.Exists(path))
            return Libc.MayWrite(path) ? null : "may not be written by this user";
        var directory = Path.GetDirectoryName(path)!;
        return !Directory.Exists(directory) ? $"cannot be made: there is no directory {directory}"
            : Libc.MayWriteInto(directory) ? null : $"cannot be made: this user may not write into {directory}";
    }

    // The nearest directory that exists decides whether those below can be made.
    private static string? DirectoryProblem(string path)
    {
        var nearest = path;
        while (!Path.Exists(nearest))
            nearest = Path.GetDirectoryName(nearest) ?? "/";
        return !Directory.Exists(nearest) ? (nearest == path ? "is a file, not a directory" : $"cannot be made: {nearest} is a file")
            : Libc.MayWriteInto(nearest) ? null
            : nearest == path ? "may not be written into by this user" : $"cannot be made: this user may not write into {nearest}";
    }

    private static string? SecretProblem(string path) => new FileInfo(path).Length switch
    {
        0 => "is empty",
        > MaxSecret => "is larger than 64 KiB",
        _ => null,
    };

    private static string? TokenProblem(string path) =>
        Path.Exists(path) ? ReadingProblem(path) : DirectoryProblem(Path.GetDirectoryName(path) ?? "/");

    // The proxy moves a pair that it cannot use aside, and nobody trusts the new one.
    private static string? PairProblem(string directory)
    {
        var (certificate, key) = (Path.Combine(directory, "ca.crt"), Path.Combine(directory, "ca.key"));
        if (!Path.Exists(certificate) && !Path.Exists(key))
            return null;
        var problem = ReadingProblem(certificate) is { } unread ? $"ca.crt {unread}"
            : PemProblem(certificate) is { } damaged ? $"ca.crt {damaged}"
            : ReadingProblem(key) is { } unreadKey ? $"ca.key {unreadKey}"
            : PemEncoding.TryFind(File.ReadAllText(key), out _) ? null : "ca.key holds no key in PEM";
        return problem is null ? null : $"has no pair that can be used: {problem}";
    }
}
