using System.Security.Cryptography.X509Certificates;
using Discobot.Features.Certificates;
using Discobot.Tests.Fixtures;
using Microsoft.Extensions.Logging;

namespace Discobot.Features.TrustStore;

/// <summary>A file system of a distribution, with a stand-in for its trust tool: it joins a base and the anchors into the bundle.</summary>
internal sealed class TrustTree : IDisposable
{
    // A comment that is not UTF-8, and no newline at the end, as real bundles have them.
    private static readonly byte[] BaseBundle =
        [.. "# Fran\u00e7ais\n"u8, 0xe7, (byte)'\n', .. "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"u8];

    private readonly CertificateFixture _log = new();

    public string Root { get; } = Directory.CreateTempSubdirectory("trust-").FullName;

    public IReadOnlyList<(LogLevel Level, string Text)> Lines => _log.Lines;

    public static byte[] Base => BaseBundle;

    public static X509Certificate2 NewAuthority()
    {
        var (certificate, key) = AuthorityMint.Create(DateTimeOffset.UtcNow);
        key.Dispose();
        return certificate;
    }

    public SystemTrustStore Store(TimeSpan? limit = null) => new(_log, Root, limit, Executable.Path);

    public string PathOf(string relative) => Path.Combine(Root, relative);

    public string AddDirectory(string relative) => Directory.CreateDirectory(PathOf(relative)).FullName;

    public string AddBundle(string relative)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(PathOf(relative))!);
        File.WriteAllBytes(PathOf(relative), BaseBundle);
        return PathOf(relative);
    }

    /// <summary>A tool that does what the family's own does.</summary>
    public void AddTool(string name, string anchors, string bundle)
    {
        AddBundle(bundle);
        File.WriteAllBytes(PathOf("base"), [.. BaseBundle, (byte)'\n']);
        AddTool(name, $"""
            cd '{Root}'
            echo "called with $*" >> calls
            cat base {anchors}/*.crt > {bundle} 2>/dev/null
            echo 1 added
            """);
    }

    public void AddTool(string name, string script)
    {
        var path = PathOf("usr/sbin/" + name);
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        // By another process: a file this one has open for writing could not be run if another test starts a program meanwhile.
        Assert.Equal("", CertificateFixture.Run(
            "sh", "-c", "printf '#!/bin/sh\\n%s\\n' \"$1\" > \"$2\" && chmod 755 \"$2\"", "sh", script, path));
    }

    public string[] Calls() => File.Exists(PathOf("calls")) ? File.ReadAllLines(PathOf("calls")) : [];

    public void Dispose()
    {
        _log.Dispose();
        Directory.Delete(Root, recursive: true);
    }
}
