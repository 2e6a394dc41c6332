using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;

namespace Discobot.Features.Certificates;

public sealed class LeafCertificatesTests : IDisposable
{
    private readonly CertificateFixture _fixture = new();
    private readonly CertificateAuthority _authority;
    private readonly LeafCertificates _leaves;

    public LeafCertificatesTests()
    {
        _authority = _fixture.Existing();
        _leaves = new LeafCertificates(_authority, _fixture, capacity: 100);
    }

    public void Dispose()
    {
        _leaves.Dispose();
        _authority.Dispose();
        _fixture.Dispose();
    }

    [Theory]
    [InlineData("example.com", "example.com")]
    [InlineData("EXAMPLE.com.", "example.com")]
    [InlineData("under_score.example.com", "under_score.example.com")]
    [InlineData("bücher.example", "xn--bcher-kva.example")]
    [InlineData("localhost", "localhost")]
    [InlineData("a.very.long.name.that.has.more.than.sixty-four.characters.in.it.example.com", null)]
    public async Task OpenSSL_accepts_a_name_in_strict_mode(string host, string? checkedName)
    {
        var leaf = _fixture.Save("leaf.crt", await CertificateFixture.Leaf(_leaves, host));
        Assert.Equal($"{leaf}: OK\n", Verify(leaf, "-verify_hostname", checkedName ?? host));
        Assert.Contains("hostname mismatch", Verify(leaf, "-verify_hostname", "other.example"), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("192.0.2.7", "192.0.2.7")]
    [InlineData("2001:db8::7", "2001:db8:0:0:0:0:0:7")]
    [InlineData("[::1]", "::1")]
    public async Task OpenSSL_accepts_an_address_in_strict_mode(string host, string checkedAddress)
    {
        var leaf = _fixture.Save("leaf.crt", await CertificateFixture.Leaf(_leaves, host));
        Assert.Equal($"{leaf}: OK\n", Verify(leaf, "-verify_ip", checkedAddress));
        Assert.Contains("IP address mismatch", Verify(leaf, "-verify_ip", "192.0.2.8"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_handshake_succeeds_for_a_client_that_trusts_the_CA_alone_and_carries_just_the_leaf()
    {
        foreach (var host in new[] { "example.com", "127.0.0.1", "::1", "under_score.example" })
        {
            var (presented, chainLength) = await Handshake(host);
            Assert.Equal(presented, await CertificateFixture.Leaf(_leaves, host));
            Assert.Equal(2, chainLength);
        }
    }

    [Fact]
    public async Task A_client_that_does_not_trust_the_CA_or_asks_for_another_name_is_refused()
    {
        await Assert.ThrowsAsync<AuthenticationException>(() => Handshake("example.com", trusted: false));
        await Assert.ThrowsAsync<AuthenticationException>(() => Handshake("example.com", asked: "other.example"));
    }

    [Fact]
    public async Task The_validity_is_backdated_a_day_and_ends_within_197_days()
    {
        var leaf = await CertificateFixture.Leaf(_leaves, "example.com");
        var (from, to) = (leaf.NotBefore.ToUniversalTime(), leaf.NotAfter.ToUniversalTime());
        Assert.InRange(_fixture.Now.UtcDateTime - from, TimeSpan.FromHours(24), TimeSpan.FromHours(24) + TimeSpan.FromSeconds(1));
        Assert.True(to - from < TimeSpan.FromDays(197));
    }

    [Fact]
    public async Task No_leaf_outlives_the_CA()
    {
        _fixture.Now = new DateTimeOffset(_authority.Certificate.NotAfter.ToUniversalTime()).AddDays(-5);
        Assert.Equal(_authority.Certificate.NotAfter, (await CertificateFixture.Leaf(_leaves, "example.com")).NotAfter);
    }

    [Fact]
    public async Task Serials_are_unique_and_the_key_is_shared()
    {
        var a = await CertificateFixture.Leaf(_leaves, "a.example");
        var b = await CertificateFixture.Leaf(_leaves, "b.example");
        Assert.NotEqual(a.SerialNumber, b.SerialNumber);
        Assert.Equal(a.GetPublicKey(), b.GetPublicKey());
    }

    [Fact]
    public async Task A_host_is_minted_once_whatever_its_case_and_answered_synchronously_afterwards()
    {
        var first = await _leaves.GetAsync("example.com", CancellationToken.None);
        var second = _leaves.GetAsync("Example.COM", CancellationToken.None);
        Assert.True(second.IsCompletedSuccessfully);
        Assert.Same(first, await second);
    }

    [Fact]
    public async Task Callers_that_ask_at_once_share_one_minting()
    {
        var start = new ManualResetEventSlim();
        var asked = Enumerable.Range(0, 16).Select(i => Task.Run(async () =>
        {
            start.Wait();
            return await _leaves.GetAsync("example.com", CancellationToken.None);
        })).ToArray();
        start.Set();
        Assert.Single((await Task.WhenAll(asked)).Distinct());
    }

    [Fact]
    public async Task A_leaf_is_renewed_a_day_before_it_expires()
    {
        var first = await CertificateFixture.Leaf(_leaves, "example.com");
        _fixture.Now = new DateTimeOffset(first.NotAfter.ToUniversalTime()).AddHours(-25);
        Assert.Same(first, await CertificateFixture.Leaf(_leaves, "example.com"));
        _fixture.Now = _fixture.Now.AddHours(1);
        var second = await CertificateFixture.Leaf(_leaves, "example.com");
        Assert.NotEqual(first.SerialNumber, second.SerialNumber);
        Assert.Equal(1, _leaves.Count);
    }

    [Fact]
    public async Task The_least_recently_used_host_gives_way()
    {
        using var few = new LeafCertificates(_authority, _fixture, capacity: 2);
        var a = await CertificateFixture.Leaf(few, "a.example");
        var b = await CertificateFixture.Leaf(few, "b.example");
        Assert.Same(a, await CertificateFixture.Leaf(few, "a.example"));
        await CertificateFixture.Leaf(few, "c.example");
        Assert.Equal(2, few.Count);
        Assert.Same(a, await CertificateFixture.Leaf(few, "a.example"));
        Assert.NotSame(b, await CertificateFixture.Leaf(few, "b.example"));
        Assert.NotEqual(IntPtr.Zero, b.Handle); // given up, not disposed: a handshake may still show it
    }

    [Theory]
    [InlineData("")]
    [InlineData(".")]
    [InlineData("[]")]
    [InlineData("\u0378..\ud800")]
    public async Task A_host_no_certificate_can_name_is_an_error_that_is_not_kept(string host)
    {
        await Assert.ThrowsAnyAsync<ArgumentException>(async () => await _leaves.GetAsync(host, CancellationToken.None));
        Assert.Equal(0, _leaves.Count);
    }

    [Fact]
    public async Task A_CA_that_another_tool_made_signs_leaves_its_clients_accept()
    {
        using var fixture = new CertificateFixture();
        Directory.CreateDirectory(fixture.CertDirectory);
        CertificateFixture.Run(
            "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-utf8",
            "-subj", "/C=DE/O=Größe/CN=My CA", "-addext",
            "keyUsage=critical,keyCertSign,cRLSign", "-keyout", fixture.PathOf("ca.key"), "-out", fixture.PathOf("ca.crt"));
        using var authority = fixture.Authority();
        using var leaves = new LeafCertificates(authority, fixture);
        var leaf = fixture.Save("leaf.crt", await CertificateFixture.Leaf(leaves, "example.com"));
        Assert.Equal($"{leaf}: OK\n", CertificateFixture.Run(
            "openssl", "verify", "-x509_strict", "-CAfile", authority.CertificatePath, "-verify_hostname", "example.com", leaf));
    }

    private string Verify(string leaf, string option, string value) => CertificateFixture.Run(
        "openssl", "verify", "-x509_strict", "-purpose", "sslserver", "-CAfile", _authority.CertificatePath, option, value, leaf);

    private async Task<(X509Certificate2 Presented, int ChainLength)> Handshake(string host, string? asked = null, bool trusted = true)
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var served = Task.Run(async () =>
        {
            await using var server = new SslStream((await listener.AcceptTcpClientAsync()).GetStream());
            await server.AuthenticateAsServerAsync(new SslServerAuthenticationOptions
            {
                ServerCertificateContext = await _leaves.GetAsync(host, CancellationToken.None),
            });
            server.ReadByte();
        });
        using var tcp = new TcpClient();
        await tcp.ConnectAsync((IPEndPoint)listener.LocalEndpoint);
        var sent = 0;
        await using var client = new SslStream(tcp.GetStream(), false, (_, _, chain, errors) =>
        {
            sent = chain!.ChainElements.Count;
            return errors == SslPolicyErrors.None;
        });
        var policy = new X509ChainPolicy { TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck };
        if (trusted)
            policy.CustomTrustStore.Add(_authority.Certificate);
        try
        {
            await client.AuthenticateAsClientAsync(new SslClientAuthenticationOptions
            {
                TargetHost = asked ?? host,
                CertificateChainPolicy = policy,
            });
            return (new X509Certificate2(client.RemoteCertificate!), sent);
        }
        finally
        {
            client.Close();
            await served.ContinueWith(_ => { }, TaskScheduler.Default);
        }
    }
}
