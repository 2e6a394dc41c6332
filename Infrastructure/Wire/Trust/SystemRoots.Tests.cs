using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Microsoft.Extensions.Logging.Abstractions;

namespace Discobot.Infrastructure.Wire.Trust;

public sealed class SystemRootsTests : IDisposable
{
    private readonly string _root = Directory.CreateTempSubdirectory("roots-").FullName;

    public void Dispose() => Directory.Delete(_root, recursive: true);

    [Theory]
    [InlineData("etc/ssl/certs/ca-certificates.crt")]
    [InlineData("etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem")]
    [InlineData("etc/pki/tls/certs/ca-bundle.crt")]
    [InlineData("etc/ssl/ca-bundle.pem")]
    [InlineData("etc/ca-certificates/extracted/tls-ca-bundle.pem")]
    [InlineData("etc/ssl/cert.pem")]
    public async Task The_bundle_of_each_distribution_is_found(string bundle)
    {
        Write(bundle, Pem("A") + "# a comment\n" + Pem("B"));
        Assert.Equal(["CN=A", "CN=B"], Subjects(await LoadAsync()));
    }

    [Fact]
    public async Task Without_a_bundle_the_directory_of_single_files_is_read()
    {
        Write("etc/ssl/certs/a.pem", Pem("A"));
        Write("etc/ssl/certs/b.pem", Pem("B"));
        Write("etc/ssl/certs/README", "no certificate here");
        Assert.Equal(["CN=A", "CN=B"], Subjects(await LoadAsync()));
    }

    [Fact]
    public async Task SSL_CERT_FILE_and_SSL_CERT_DIR_replace_the_usual_places()
    {
        Write("etc/ssl/certs/ca-certificates.crt", Pem("System"));
        var file = Write("mine.pem", Pem("File"));
        Write("dir/one.pem", Pem("Dir"));
        var directory = Path.Combine(_root, "dir");
        Assert.Equal(["CN=File"], Subjects(await LoadAsync(("SSL_CERT_FILE", file))));
        Assert.Equal(["CN=Dir"], Subjects(await LoadAsync(("SSL_CERT_DIR", "/nowhere:" + directory))));
        Assert.Equal(["CN=Dir", "CN=File"], Subjects(await LoadAsync(("SSL_CERT_FILE", file), ("SSL_CERT_DIR", directory))));
    }

    [Fact]
    public async Task A_named_file_that_is_missing_widens_nothing()
    {
        Write("etc/ssl/certs/ca-certificates.crt", Pem("System"));
        Assert.Empty(await LoadAsync(("SSL_CERT_FILE", "/nowhere/ca.pem")));
    }

    [Fact]
    public async Task A_damaged_block_costs_only_itself()
    {
        Write("etc/ssl/certs/ca-certificates.crt",
            Pem("A") + "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n" + Pem("B"));
        Assert.Equal(["CN=A", "CN=B"], Subjects(await LoadAsync()));
    }

    [Fact]
    public async Task Our_own_authority_is_no_upstream_root_though_the_bundle_holds_it()
    {
        var ours = Certificate("Ours");
        Write("etc/ssl/certs/ca-certificates.crt", Pem("A") + ours.ExportCertificatePem() + "\n");
        var roots = await SystemRoots.LoadAsync([], NullLogger.Instance, PemCertificates.Fingerprint(ours), _root, _ => null);
        Assert.Equal(["CN=A"], Subjects(roots));
    }

    [Fact]
    public async Task Extra_files_are_added_once_and_must_be_readable()
    {
        var a = Pem("A");
        Write("etc/ssl/certs/ca-certificates.crt", a);
        var extra = Write("extra.pem", a + Pem("Extra"));
        Assert.Equal(["CN=A", "CN=Extra"], Subjects(await SystemRoots.LoadAsync([extra], NullLogger.Instance, null, _root, _ => null)));
        var garbage = Write("garbage.pem", "garbage");
        await Assert.ThrowsAsync<IOException>(() => SystemRoots.LoadAsync([garbage], NullLogger.Instance, null, _root, _ => null));
        await Assert.ThrowsAsync<FileNotFoundException>(() => SystemRoots.LoadAsync(["/nowhere"], NullLogger.Instance, null, _root, _ => null));
    }

    [Fact]
    public async Task No_roots_at_all_is_an_empty_collection() => Assert.Empty(await LoadAsync());

    private Task<X509Certificate2Collection> LoadAsync(params (string Name, string Value)[] environment) =>
        SystemRoots.LoadAsync([], NullLogger.Instance, null, _root, name => environment.FirstOrDefault(e => e.Name == name).Value);

    private static IEnumerable<string> Subjects(X509Certificate2Collection roots) =>
        roots.Select(root => root.Subject).Order(StringComparer.Ordinal);

    private static string Pem(string name) => Certificate(name).ExportCertificatePem() + "\n";

    private static X509Certificate2 Certificate(string name)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=" + name, key, HashAlgorithmName.SHA256);
        return request.CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(1));
    }

    private string Write(string path, string text)
    {
        var full = Path.Combine(_root, path);
        Directory.CreateDirectory(Path.GetDirectoryName(full)!);
        File.WriteAllText(full, text);
        return full;
    }
}
