using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;

namespace Discobot.Tests.Fixtures;

/// <summary>Debian's docker-registry on loopback, with TLS and a storage of its own.</summary>
internal sealed class DockerRegistry : IAsyncDisposable
{
    public const string Name = "registry.test";
    private readonly string _directory = Directory.CreateTempSubdirectory("discobot-test-").FullName;
    private readonly int _port = RunningProxy.FreePort();
    private Process _process = null!;

    /// <summary>As references of images begin.</summary>
    public string Address => $"{Name}:{_port}";

    /// <summary>Where its name leads.</summary>
    public IPEndPoint EndPoint => new(IPAddress.Loopback, _port);

    private string Storage => Path.Join(_directory, "data/docker/registry/v2");

    /// <param name="authority">Signs its certificate.</param>
    public static async Task<DockerRegistry> StartAsync(TestAuthority authority)
    {
        var registry = new DockerRegistry();
        await registry.StartProcessAsync(authority);
        return registry;
    }

    /// <summary>Whether a repository has a blob, as its storage says.</summary>
    public bool Has(string repository, string digest) =>
        File.Exists(Path.Join(Storage, $"repositories/{repository}/_layers/sha256/{digest}/link"));

    /// <summary>What it has, as its storage says: each body, and each blob, manifest and tag of a repository with the digest that it names, in order.</summary>
    public string[] Contents() =>
        [.. Directory.EnumerateFiles(Storage, "*", SearchOption.AllDirectories).Where(file => Path.GetFileName(file) is "link" or "data")
            .Select(file => $"{Path.GetRelativePath(Storage, file)} {Convert.ToHexStringLower(SHA256.HashData(File.ReadAllBytes(file)))}")
            .Where(file => !file.Contains("/_uploads/", StringComparison.Ordinal)).Order(StringComparer.Ordinal)];

    public async ValueTask DisposeAsync()
    {
        _process.Kill();
        await _process.WaitForExitAsync();
        _process.Dispose();
        Directory.Delete(_directory, recursive: true);
    }

    private async Task StartProcessAsync(TestAuthority authority)
    {
        using (var certificate = authority.Issue([Name]))
        {
            await WriteAsync("tls.crt", certificate.ExportCertificatePem());
            using var key = (AsymmetricAlgorithm?)certificate.GetECDsaPrivateKey() ?? certificate.GetRSAPrivateKey();
            await WriteAsync("tls.key", key!.ExportPkcs8PrivateKeyPem());
        }

        await WriteAsync("registry.yml", $$"""
            version: 0.1
            log: {level: error, accesslog: {disabled: true} }
            storage: {filesystem: {rootdirectory: "{{_directory}}/data"} }
            http: {addr: "127.0.0.1:{{_port}}", tls: {certificate: "{{_directory}}/tls.crt", key: "{{_directory}}/tls.key"} }
            """);
        _process = Process.Start(new ProcessStartInfo("docker-registry", ["serve", Path.Join(_directory, "registry.yml")]) { RedirectStandardError = true, RedirectStandardOutput = true })!;
        _process.BeginErrorReadLine();
        _process.BeginOutputReadLine();
        await Eventually.TrueAsync(IsServingAsync);
    }

    private async Task<bool> IsServingAsync()
    {
        Assert.False(_process.HasExited);
        using var probe = new TcpClient();
        try
        {
            await probe.ConnectAsync(EndPoint);
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }

    private Task WriteAsync(string name, string text) => File.WriteAllTextAsync(Path.Join(_directory, name), text, Encoding.ASCII);
}
