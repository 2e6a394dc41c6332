using System.Diagnostics;
using System.Net.Security;
using System.Security.Cryptography.X509Certificates;
using Microsoft.Extensions.Logging;

namespace Discobot.Features.Certificates;

/// <summary>A directory for a CA, a clock that stands still and a log that remembers.</summary>
internal sealed class CertificateFixture : TimeProvider, ILogger, IDisposable
{
    // Made once for all tests that need some pair: an RSA key takes a tenth of a second and more.
    private static readonly Lazy<(string Certificate, string Key)> AnyPair = new(() =>
    {
        var (certificate, key) = AuthorityMint.Create(DateTimeOffset.UtcNow);
        return (certificate.ExportCertificatePem() + "\n", key.ExportRSAPrivateKeyPem() + "\n");
    });

    private readonly string _top = Directory.CreateTempSubdirectory("certs-").FullName;

    public string CertDirectory => Path.Combine(_top, "certs");

    public DateTimeOffset Now { get; set; } = DateTimeOffset.FromUnixTimeSeconds(DateTimeOffset.UtcNow.ToUnixTimeSeconds());

    public List<(LogLevel Level, string Text)> Lines { get; } = [];

    public override DateTimeOffset GetUtcNow() => Now;

    public CertificateAuthority Authority() => CertificateAuthority.LoadOrCreate(CertDirectory, this, this);

    /// <summary>The CA of a pair that lies there already.</summary>
    public CertificateAuthority Existing()
    {
        Directory.CreateDirectory(CertDirectory);
        File.WriteAllText(PathOf("ca.crt"), AnyPair.Value.Certificate);
        File.WriteAllText(PathOf("ca.key"), AnyPair.Value.Key);
        File.SetUnixFileMode(PathOf("ca.key"), UnixFileMode.UserRead | UnixFileMode.UserWrite);
        return Authority();
    }

    public string PathOf(string file) => Path.Combine(CertDirectory, file);

    public IEnumerable<string> Files() =>
        Directory.EnumerateFiles(CertDirectory).Select(file => Path.GetFileName(file)).Order(StringComparer.Ordinal);

    /// <summary>Writes the leaf where a program can read it.</summary>
    public string Save(string name, X509Certificate2 certificate)
    {
        var path = Path.Combine(_top, name);
        File.WriteAllText(path, certificate.ExportCertificatePem());
        return path;
    }

    /// <summary>Runs a program that CI has; its output, with the exit code where it is not 0.</summary>
    public static string Run(string program, params string[] arguments)
    {
        var start = new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true };
        using var process = Process.Start(start)!;
        var errors = process.StandardError.ReadToEndAsync();
        var output = process.StandardOutput.ReadToEnd() + errors.GetAwaiter().GetResult();
        process.WaitForExit();
        return process.ExitCode == 0 ? output : $"exit {process.ExitCode}: {output}";
    }

    public static async Task<X509Certificate2> Leaf(LeafCertificates leaves, string host) =>
        (await leaves.GetAsync(host, CancellationToken.None)).TargetCertificate;

    public void Dispose() => Directory.Delete(_top, recursive: true);

    public IDisposable? BeginScope<TState>(TState state) where TState : notnull => null;

    public bool IsEnabled(LogLevel logLevel) => true;

    public void Log<TState>(
        LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
    {
        lock (Lines)
            Lines.Add((logLevel, formatter(state, exception)));
    }
}
