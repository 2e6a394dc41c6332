using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Discobot.Infrastructure.Wire;
using Microsoft.Extensions.Logging.Abstractions;

namespace Discobot.Features.Interception.Upstreams;

/// <summary>Real handshakes: what a server sends on one side, what <c>tls.extra_ca</c> names on the other. OpenSSL (curl) is the measure.</summary>
public sealed class TrustAnchorsTests
{
    private readonly Authority _root = new("CN=root");
    private readonly Authority _issuing;
    private readonly X509Certificate2 _leaf;

    public TrustAnchorsTests()
    {
        _issuing = new Authority("CN=issuing", _root);
        _leaf = _issuing.Issue();
    }

    [Fact]
    public async Task The_issuing_CA_alone_is_enough_whatever_else_the_server_sends()
    {
        Assert.Null(await ConnectAsync([_leaf], [_issuing.Certificate]));
        Assert.Null(await ConnectAsync([_leaf, _issuing.Certificate], [_issuing.Certificate]));
        Assert.Null(await ConnectAsync([_leaf, _issuing.Certificate, _root.Certificate], [_issuing.Certificate]));
        Assert.Null(await ConnectAsync([_leaf, _root.Certificate, _issuing.Certificate], [_issuing.Certificate]));
    }

    [Fact]
    public async Task The_servers_own_certificate_is_enough() => Assert.Null(await ConnectAsync([_leaf], [X509CertificateLoader.LoadCertificate(_leaf.RawData)]));

    [Fact]
    public async Task The_root_alone_is_enough_with_the_chain_and_not_without()
    {
        Assert.Null(await ConnectAsync([_leaf, _issuing.Certificate], [_root.Certificate]));
        Assert.Null(await ConnectAsync([_leaf], [_root.Certificate, _issuing.Certificate]));
        Assert.Contains("CN=issuing: neither trusted nor sent", await ConnectAsync([_leaf], [_root.Certificate]), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_root_that_expired_beside_the_one_that_replaced_it_does_no_harm()
    {
        var expired = _root.Renew(-50, -1);
        Assert.Null(await ConnectAsync([_leaf, _issuing.Certificate], [expired, _root.Certificate]));
        Assert.Null(await ConnectAsync([_leaf, _issuing.Certificate], [_root.Certificate, expired]));
        Assert.Contains("not valid now", await ConnectAsync([_leaf, _issuing.Certificate], [expired]), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_cross_signed_CA_is_trusted_by_whichever_of_its_certificates_is_named()
    {
        var old = new Authority("CN=old", from: -50, to: -1);
        var crossed = _root.CrossSign(old);
        Assert.Null(await ConnectAsync([_leaf, _issuing.Certificate, crossed], [old.Certificate, _root.Certificate]));
        Assert.Null(await ConnectAsync([_leaf, _issuing.Certificate, crossed], [_root.Certificate]));
        Assert.Null(await ConnectAsync([_leaf, _issuing.Certificate, _root.Certificate], [crossed]));
        Assert.Null(await ConnectAsync([_leaf, _issuing.CrossSign(old)], [_issuing.Certificate]));
    }

    [Fact]
    public async Task An_issuing_CA_that_has_expired_vouches_for_nothing()
    {
        var expired = new Authority("CN=issuing", _root, -50, -1);
        Assert.NotNull(await ConnectAsync([expired.Issue()], [expired.Certificate]));
    }

    [Fact]
    public async Task A_leaf_that_only_claims_to_be_signed_by_it_is_refused()
    {
        var impostor = new Authority("CN=issuing", _root);
        Assert.NotNull(await ConnectAsync([impostor.Issue()], [_issuing.Certificate]));
        Assert.NotNull(await ConnectAsync([impostor.Issue(), _issuing.Certificate], [_issuing.Certificate]));
        Assert.NotNull(await ConnectAsync([impostor.Issue(), impostor.Certificate], [_issuing.Certificate]));
        Assert.NotNull(await ConnectAsync([impostor.Issue(copyOf: _leaf)], [_issuing.Certificate]));
    }

    [Fact]
    public async Task A_server_certificate_that_is_named_signs_no_others()
    {
        var server = new Authority("CN=server", _root, isAuthority: false);
        Assert.NotNull(await ConnectAsync([server.Issue()], [server.Certificate]));
        Assert.NotNull(await ConnectAsync([server.Issue(), server.Certificate], [server.Certificate]));
    }

    [Fact]
    public async Task Another_name_is_refused_all_the_same() =>
        Assert.Contains("another name", await ConnectAsync([_issuing.Issue("other.test")], [_issuing.Certificate]), StringComparison.Ordinal);

    /// <returns>Why the connection was refused, or null.</returns>
    private static async Task<string?> ConnectAsync(X509Certificate2[] sent, X509Certificate2[] named)
    {
        var trust = new UpstreamTrust(Task.FromResult(new X509Certificate2Collection(named)), [], NullLogger<UpstreamTrust>.Instance);
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        using var client = new TcpClient();
        await client.ConnectAsync((IPEndPoint)listener.LocalEndpoint);
        using var served = await listener.AcceptTcpClientAsync();
        await using var server = new SslStream(served.GetStream());
        using var own = X509CertificateLoader.LoadPkcs12(sent[0].Export(X509ContentType.Pfx), null);
        var serving = server.AuthenticateAsServerAsync(new SslServerAuthenticationOptions
        {
            // Offline: nothing is added to what is to be sent.
            ServerCertificateContext = SslStreamCertificateContext.Create(own, new X509Certificate2Collection(sent[1..]), offline: true),
        });
        await using var stream = new SslStream(client.GetStream());
        var options = trust.Options;
        try
        {
            await stream.AuthenticateAsClientAsync(new SslClientAuthenticationOptions
            {
                TargetHost = "localhost",
                CertificateChainPolicy = options.CertificateChainPolicy,
                RemoteCertificateValidationCallback = options.RemoteCertificateValidationCallback,
            });
            await serving;
            return null;
        }
        catch (UpstreamCertificateException e)
        {
            client.Close();
            await Task.WhenAny(serving);
            return e.Message;
        }
    }

    private sealed class Authority
    {
        private readonly ECDsa _key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        private readonly CertificateRequest _request;

        public Authority(string name, Authority? issuer = null, int from = -5, int to = 30, bool isAuthority = true)
        {
            _request = new CertificateRequest(name, _key, HashAlgorithmName.SHA256);
            _request.CertificateExtensions.Add(new X509BasicConstraintsExtension(isAuthority, false, 0, true));
            Certificate = issuer is null ? Renew(from, to) : Sign(issuer, _request, from, to);
        }

        public X509Certificate2 Certificate { get; }

        public X509Certificate2 Renew(int from, int to) => X509CertificateLoader.LoadCertificate(_request.CreateSelfSigned(Day(from), Day(to)).RawData);

        public X509Certificate2 CrossSign(Authority issuer) => Sign(issuer, _request, -5, 30);

        /// <param name="host">Whom it is for.</param>
        /// <param name="copyOf">Whose serial number it takes, and whose key it pretends to have nothing to do with.</param>
        public X509Certificate2 Issue(string host = "localhost", X509Certificate2? copyOf = null)
        {
            var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
            var request = new CertificateRequest($"CN={host}", key, HashAlgorithmName.SHA256);
            var names = new SubjectAlternativeNameBuilder();
            names.AddDnsName(host);
            request.CertificateExtensions.Add(names.Build());
            using var issued = Sign(this, request, -5, 30, copyOf?.SerialNumberBytes.ToArray());
            return issued.CopyWithPrivateKey(key);
        }

        private static X509Certificate2 Sign(Authority issuer, CertificateRequest request, int from, int to, byte[]? serial = null) => request.Create(
            new X500DistinguishedName(issuer._request.SubjectName), X509SignatureGenerator.CreateForECDsa(issuer._key), Day(from), Day(to),
            serial ?? RandomNumberGenerator.GetBytes(16));

        private static DateTimeOffset Day(int day) => DateTimeOffset.UtcNow.AddDays(day);
    }
}
