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
/// left behind.</summary>
internal static class NamedFiles
{
    /// <param name="root">The file.</param>
    /// <param name="certDir">Where tls.cert_dir is written.</param>
    /// <param name="logFile">Where logging.file is written.</param>
    /// <param name="settings">What they mean.</param>
    /// <param name="files">Whether it starts or the file is checked.</param>
    public static void CheckForStart(ConfigNode root, ConfigNode certDir, ConfigNode logFile, ProxySettings settings, FileChecks files)
    {
        foreach (var node in root["tls"]["extra_ca"].Items())
        {
            if (PathOf(node) is { } path)
                Tell(node, path, ReadingProblem(path) ?? PemProblem(path));
        }

        // What is full now may have room when it is written to; only who checks a file wants to know.
        var mayBeFull = files == FileChecks.ForStart;
        // Where directories lie that nobody named depends on who starts the proxy.
        var writtenOnly = files == FileChecks.All;
        if (settings.Logging.File is { } log)
            Tell(logFile, log, AppendingProblem(log, makesDirectory: false, mayBeFull));
        if (settings.Cache.Enabled && !(writtenOnly && root["cache"]["dir"].IsAbsent))
            Tell(root["cache"]["dir"], settings.Cache.Dir, DirectoryProblem(settings.Cache.Dir, mayBeFull));
        UpstreamProblem(root["proxy"]["upstream"], settings.Proxy.UpstreamSecret);
        if (!(writtenOnly && certDir.IsAbsent))
        {
            // The pair is written before anything else: without room for it the proxy does not start.
            Tell(certDir, settings.Tls.CertDir, Path.Exists(Path.Combine(settings.Tls.CertDir, "ca.crt")) ? null : DirectoryProblem(settings.Tls.CertDir, mayBeFull: false));
        }
    }

    public static void CheckForUse(ConfigNode root, ConfigNode certDir, ConfigNode logFile, ProxySettings settings)
    {
        foreach (var written in WrittenSecret.Of(root).Where(found => found.Node.Path != "proxy.upstream"))
        {
            if (written.Problem() is { } problem)
                written.Node.Error(problem);
        }

        var (tokenFile, auditFile) = (root["api"]["token_file"], root["audit"]["file"]);
        if (!tokenFile.IsAbsent)
            TellFirst(tokenFile, BesideToken(settings, auditFile.IsAbsent));
        if (!auditFile.IsAbsent && settings.Audit is { Enabled: true, File: { } audit })
            Tell(auditFile, audit, AuditProblem(audit, settings));
        if (settings.Logging.File is { } log && AppendingProblem(log, makesDirectory: false) is null)
            Tell(logFile, log, RotatingProblem(log, settings.Logging.MaxSize));
        if (!certDir.IsAbsent)
            Tell(certDir, settings.Tls.CertDir, PairProblem(settings.Tls.CertDir));
        // The proxy starts without it, and goes on alone.
        if (settings.Cache is { Enabled: true, Shared: { } shared })
            Tell(root["cache"]["shared"], shared, Directory.Exists(shared) ? DirectoryProblem(shared, mayBeFull: false) : "does not exist: mount it there");
        foreach (var item in root["cache"]["warm"].Items())
        {
            if (PathOf(item) is { } file && item.Written!.StartsWith('/'))
                Tell(item, file, ReadingProblem(file));
        }
    }

    private static void Tell(ConfigNode node, string path, string? problem)
    {
        if (problem is not null)
            node.Error($"{path} {problem}");
    }

    private static void TellFirst(ConfigNode node, IEnumerable<(string Path, string? Problem)> files)
    {
        if (files.FirstOrDefault(file => file.Problem is not null) is (not null, not null) told)
            Tell(node, told.Path, told.Problem);
    }

    // What lies in the directory of the token unless it has a place of its own.
    private static IEnumerable<(string Path, string? Problem)> BesideToken(ProxySettings settings, bool auditIsBeside)
    {
        var (token, directory) = (settings.Api.TokenFile, Path.GetDirectoryName(settings.Api.TokenFile) ?? "/");
        if (settings.Api.IsProtected)
            yield return (token, TokenProblem(token));
        var audit = settings.Audit.Path(token);
        if (auditIsBeside && settings.Audit.Enabled)
            yield return (audit, AuditProblem(audit, settings));
        if (settings.Allowlist.Mode == Allowlist.AllowlistMode.Learn)
            yield return (Path.Combine(directory, "learned.json"), CreationProblem(directory));
    }

    private static string? AuditProblem(string path, ProxySettings settings) =>
        AppendingProblem(path, makesDirectory: true) ?? RotatingProblem(path, settings.Audit.MaxSize);

    private static string? PathOf(ConfigNode node) =>
        node.Written is { } text && !text.Any(char.IsControl) ? Path.GetFullPath(text) : null;

    // Without its parent the proxy would take another way than the one that is written. A pipe is read once, by who uses it.
    private static void UpstreamProblem(ConfigNode node, SecretText? secret)
    {
        if (secret is null || WrittenSecret.IsPipe(secret))
            return;
        var problem = WrittenSecret.Problem(secret);
        if (problem is null && !(secret.TryResolve(out var text) && ParentAddress.TryParse(text, out _)))
            problem = $"what {secret} holds is not {ParentAddress.Allowed}";
        if (problem is not null)
            node.Error(problem);
    }

    /// <summary>Why a file cannot be read, to be put after its path. It is opened only when it is a regular one: a pipe would wait for its writer.</summary>
    public static string? ReadingProblem(string path)
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

    /// <param name="makesDirectory">Whether who writes it makes its directory.</param>
    private static string? AppendingProblem(string path, bool makesDirectory, bool mayBeFull = false)
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
            return Libc.StatusOf(path) is { Kind: FileKind.Regular } ? WriteTrial.To(path) : Libc.MayWrite(path) ? null : "may not be written by this user";
        var directory = Path.GetDirectoryName(path)!;
        return !makesDirectory && !Path.Exists(directory) ? $"cannot be made: there is no directory {directory}" : CreationProblem(directory, mayBeFull);
    }

    // Beyond its size it is renamed; where that cannot be done it goes on growing. The name of an open file (/dev/stdout) is not renamed.
    private static string? RotatingProblem(string path, long maxSize) =>
        maxSize > 0 && !IsOpenFile(path) && Libc.StatusOf(path) is { Kind: FileKind.Regular } && WriteTrial.Into(Path.GetDirectoryName(path)!) is { } problem
            ? $"cannot be renamed when it is full: {problem}" : null;

    private static bool IsOpenFile(string path) => path.StartsWith("/dev/", StringComparison.Ordinal) || path.StartsWith("/proc/self/fd/", StringComparison.Ordinal);

    private static string? DirectoryProblem(string path, bool mayBeFull) =>
        !Directory.Exists(path) ? Path.Exists(path) ? "is a file, not a directory" : CreationProblem(path, mayBeFull)
        : WriteTrial.Into(path, mayBeFull) is { } problem ? $"cannot be used: {problem}" : null;

    // The nearest directory that exists decides whether those below can be made.
    private static string? CreationProblem(string directory, bool mayBeFull = false)
    {
        var nearest = directory;
        while (!Path.Exists(nearest))
            nearest = Path.GetDirectoryName(nearest) ?? "/";
        return !Directory.Exists(nearest) ? $"cannot be made: {nearest} is a file"
            : WriteTrial.Into(nearest, mayBeFull) is { } problem ? $"cannot be made: {problem}" : null;
    }

    private static string? TokenProblem(string path) =>
        Path.Exists(path) ? ReadingProblem(path) : CreationProblem(Path.GetDirectoryName(path) ?? "/");

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
