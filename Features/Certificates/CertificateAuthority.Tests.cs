using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Microsoft.Extensions.Logging;

namespace Discobot.Features.Certificates;

public sealed class CertificateAuthorityTests : IDisposable
{
    private const UnixFileMode KeyMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    private readonly CertificateFixture _fixture = new();

    public void Dispose() => _fixture.Dispose();

    [Fact]
    public void A_new_CA_is_made_once_and_loaded_ever_after()
    {
        using var first = _fixture.Authority();
        var key = File.ReadAllText(_fixture.PathOf("ca.key"));
        using var second = _fixture.Authority();
        Assert.Equal(first.Fingerprint, second.Fingerprint);
        Assert.Equal(_fixture.PathOf("ca.crt"), first.CertificatePath);
        Assert.StartsWith("-----BEGIN RSA PRIVATE KEY-----", key, StringComparison.Ordinal);
        Assert.Equal(key, File.ReadAllText(_fixture.PathOf("ca.key")));
        Assert.Equal(LogLevel.Information, Assert.Single(_fixture.Lines).Level);
        Assert.Equal([".lock", "ca.crt", "ca.key"], _fixture.Files());
    }

    [Fact]
    public void The_certificate_is_readable_by_all_the_key_by_its_owner_and_the_directory_cannot_be_listed_by_others()
    {
        using var authority = _fixture.Authority();
        var others = UnixFileMode.GroupRead | UnixFileMode.OtherRead;
        Assert.Equal(KeyMode | others, File.GetUnixFileMode(_fixture.PathOf("ca.crt")));
        Assert.Equal(KeyMode, File.GetUnixFileMode(_fixture.PathOf("ca.key")));
        var listOrChange = others | UnixFileMode.OtherWrite | UnixFileMode.GroupWrite;
        Assert.Equal(UnixFileMode.None, File.GetUnixFileMode(_fixture.CertDirectory) & listOrChange);
    }

    [Theory]
    [InlineData("ca.crt")]
    [InlineData("ca.key")]
    public async Task A_FIFO_in_the_place_of_a_file_holds_nothing_up_and_is_moved_aside(string name)
    {
        _fixture.Existing().Dispose();
        File.Delete(_fixture.PathOf(name));
        CertificateFixture.Run("mkfifo", _fixture.PathOf(name));
        using var made = await Task.Run(_fixture.Authority).WaitAsync(TimeSpan.FromSeconds(20));
        Assert.Contains($"{name} is no regular file", Assert.Single(_fixture.Lines, line => line.Item1 == LogLevel.Warning).Item2, StringComparison.Ordinal);
        Assert.Contains("BEGIN CERTIFICATE", File.ReadAllText(_fixture.PathOf("ca.crt")), StringComparison.Ordinal);
    }

    [Fact]
    public void OpenSSL_accepts_it_in_strict_mode()
    {
        using var authority = _fixture.Authority();
        var ca = authority.CertificatePath;
        Assert.Equal($"{ca}: OK\n", CertificateFixture.Run("openssl", "verify", "-x509_strict", "-check_ss_sig", "-CAfile", ca, ca));
        Assert.Equal("RSA key ok\n", CertificateFixture.Run("openssl", "rsa", "-check", "-noout", "-in", _fixture.PathOf("ca.key")));
    }

    [Fact]
    public void It_is_valid_for_ten_years_with_a_serial_of_128_bits()
    {
        using var authority = _fixture.Authority();
        var certificate = authority.Certificate;
        Assert.Equal(certificate.NotBefore.ToUniversalTime().AddYears(10), certificate.NotAfter.ToUniversalTime());
        Assert.Equal(_fixture.Now.UtcDateTime.AddDays(-1), certificate.NotBefore.ToUniversalTime());
        Assert.Equal(32, certificate.SerialNumber.Length);
        Assert.Equal(2048, certificate.GetRSAPublicKey()!.KeySize);
    }

    public static TheoryData<string> Damages =>
        ["truncated crt", "empty crt", "garbage crt", "garbage key", "empty key", "foreign key", "no key", "no crt", "leaf"];

    [Theory]
    [MemberData(nameof(Damages))]
    public void A_broken_pair_is_moved_aside_loudly_and_nothing_is_lost(string damage)
    {
        using var old = _fixture.Existing();
        Damage(damage);
        var before = Contents();
        _fixture.Lines.Clear();

        using var made = _fixture.Authority();
        Assert.NotEqual(old.Fingerprint, made.Fingerprint);
        var (level, text) = Assert.Single(_fixture.Lines);
        Assert.Equal(LogLevel.Warning, level);
        Assert.Contains("discobot trust install", text, StringComparison.Ordinal);
        Assert.Contains(made.Fingerprint, text, StringComparison.Ordinal);
        var kept = Directory.EnumerateFiles(_fixture.CertDirectory, "*.broken-*").Select(File.ReadAllText).Order(StringComparer.Ordinal);
        Assert.Equal(before, kept);

        using var again = _fixture.Authority();
        Assert.Equal(made.Fingerprint, again.Fingerprint);
    }

    [Fact]
    public void An_expired_CA_is_moved_aside_with_its_key()
    {
        using var old = _fixture.Existing();
        _fixture.Now += TimeSpan.FromDays(3660);
        using var made = _fixture.Authority();
        Assert.NotEqual(old.Fingerprint, made.Fingerprint);
        Assert.Contains("expired", _fixture.Lines[^1].Text, StringComparison.Ordinal);
        Assert.Equal(2, Directory.EnumerateFiles(_fixture.CertDirectory, "*.broken-*").Count());
    }

    /// <summary>Made while the clock was ahead: by a little, by a battery that had run out the other way, and by an hour that is a zone's.</summary>
    [Theory]
    [InlineData(2)]
    [InlineData(26)]
    [InlineData(24 * 365 * 10)]
    public void A_CA_that_is_not_valid_yet_is_replaced_like_one_that_has_expired(int hoursAhead)
    {
        using var old = _fixture.Existing();

        // Its validity begins a day before it was made.
        _fixture.Now -= TimeSpan.FromHours(24 + hoursAhead);
        using var made = _fixture.Authority();
        Assert.NotEqual(old.Fingerprint, made.Fingerprint);
        Assert.Contains("is not valid before", _fixture.Lines[^1].Text, StringComparison.Ordinal);
        Assert.Equal(2, Directory.EnumerateFiles(_fixture.CertDirectory, "*.broken-*").Count());
        using var again = _fixture.Authority();
        Assert.Equal(made.Fingerprint, again.Fingerprint);
    }

    [Fact]
    public void A_second_broken_pair_in_the_same_second_does_not_overwrite_the_first()
    {
        for (var i = 0; i < 2; i++)
        {
            _fixture.Existing().Dispose();
            File.WriteAllText(_fixture.PathOf("ca.crt"), "garbage");
            _fixture.Authority().Dispose();
        }

        Assert.Equal(4, Directory.EnumerateFiles(_fixture.CertDirectory, "*.broken-*").Count());
    }

    [Fact]
    public void Starts_at_the_same_time_end_with_one_pair()
    {
        var fingerprints = new string[8];
        var threads = fingerprints.Select((_, i) => new Thread(() =>
        {
            using var authority = _fixture.Authority();
            fingerprints[i] = authority.Fingerprint;
        })).ToList();
        threads.ForEach(thread => thread.Start());
        threads.ForEach(thread => thread.Join());
        Assert.NotNull(Assert.Single(fingerprints.Distinct()));
        Assert.Single(_fixture.Lines);
    }

    [Fact]
    public void A_key_that_others_can_read_is_taken_back()
    {
        _fixture.Existing().Dispose();
        File.SetUnixFileMode(_fixture.PathOf("ca.key"), KeyMode | UnixFileMode.OtherRead);
        _fixture.Authority().Dispose();
        Assert.Equal(KeyMode, File.GetUnixFileMode(_fixture.PathOf("ca.key")));
        Assert.Equal(LogLevel.Warning, _fixture.Lines[^1].Level);
    }

    [Fact]
    public void A_pair_made_by_other_tools_is_used_as_it_is()
    {
        Directory.CreateDirectory(_fixture.CertDirectory);
        CertificateFixture.Run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", "/O=Mine/CN=My CA",
            "-addext", "keyUsage=critical,keyCertSign,cRLSign", "-keyout", _fixture.PathOf("ca.key"), "-out", _fixture.PathOf("ca.crt"));
        using var authority = _fixture.Authority();
        Assert.Equal("CN=My CA, O=Mine", authority.Certificate.Subject);
        Assert.DoesNotContain(_fixture.Lines, line => line.Text.Contains("NEW", StringComparison.Ordinal));
    }

    [Fact]
    public void Rotating_keeps_the_old_pair_beside_the_new_one()
    {
        using var old = _fixture.Existing();
        using var made = CertificateAuthority.Rotate(_fixture.CertDirectory, _fixture, _fixture, out var kept);
        Assert.NotEqual(old.Fingerprint, made.Fingerprint);
        Assert.Equal(2, kept.Count);
        Assert.Equal(old.Certificate.ExportCertificatePem() + "\n", File.ReadAllText(kept[0]));
        Assert.Equal(KeyMode, File.GetUnixFileMode(kept[1]));
        using var loaded = _fixture.Authority();
        Assert.Equal(made.Fingerprint, loaded.Fingerprint);
    }

    [Fact]
    public void Looking_at_a_CA_that_is_not_there_makes_none()
    {
        Assert.Null(CertificateAuthority.Load(_fixture.CertDirectory, _fixture, out var fault));
        Assert.Contains(_fixture.CertDirectory, fault, StringComparison.Ordinal);
        Assert.False(Directory.Exists(_fixture.CertDirectory));
    }

    private List<string> Contents() => new[] { "ca.crt", "ca.key" }.Select(_fixture.PathOf)
        .Where(File.Exists).Select(File.ReadAllText).Order(StringComparer.Ordinal).ToList();

    private void Damage(string damage)
    {
        var (crt, key) = (_fixture.PathOf("ca.crt"), _fixture.PathOf("ca.key"));
        switch (damage)
        {
            case "truncated crt": File.WriteAllText(crt, File.ReadAllText(crt)[..400]); break;
            case "empty crt": File.WriteAllText(crt, ""); break;
            case "garbage crt": File.WriteAllText(crt, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"); break;
            case "garbage key": File.WriteAllText(key, "garbage"); break;
            case "empty key": File.WriteAllText(key, ""); break;
            case "foreign key": File.WriteAllText(key, RSA.Create(2048).ExportRSAPrivateKeyPem()); break;
            case "no key": File.Delete(key); break;
            case "no crt": File.Delete(crt); break;
            case "leaf":
                using (var own = RSA.Create(2048))
                {
                    var request = new CertificateRequest("CN=leaf", own, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
                    File.WriteAllText(crt, request.CreateSelfSigned(_fixture.Now, _fixture.Now.AddDays(1)).ExportCertificatePem());
                    File.WriteAllText(key, own.ExportRSAPrivateKeyPem());
                }

                break;
            default: throw new ArgumentException(damage);
        }
    }
}
