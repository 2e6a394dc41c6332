using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Discobot.Integration.Fixtures;

namespace Discobot.Integration.Wire;

/// <summary>TLS on the leg on which the proxy is the client: what the linked OpenSSL is told, which a debug build is not.</summary>
public sealed class UpstreamTlsTests(WireFixture fixture) : IClassFixture<WireFixture>
{
    [Theory]
    [InlineData(TlsCipherSuite.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256)]
    [InlineData(TlsCipherSuite.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256)]
    [InlineData(TlsCipherSuite.TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA)]
    [InlineData(TlsCipherSuite.TLS_RSA_WITH_AES_256_GCM_SHA384)]
    [InlineData(TlsCipherSuite.TLS_RSA_WITH_AES_128_CBC_SHA)]
    public async Task A_server_that_knows_one_suite_of_TLS_1_2_only_is_reached(TlsCipherSuite suite)
    {
        using var certificate = Issue();
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var serving = ServeAsync(listener, new SslServerAuthenticationOptions
        {
            ServerCertificate = certificate,
            EnabledSslProtocols = SslProtocols.Tls12,
            CipherSuitesPolicy = new CipherSuitesPolicy([suite]),
        });
        using var client = fixture.Proxy.CreateClient();

        Assert.Equal("ok", await client.GetStringAsync(new Uri($"https://localhost:{((IPEndPoint)listener.LocalEndpoint).Port}/")));
        Assert.Equal(suite, await serving);
    }

    private static async Task<TlsCipherSuite> ServeAsync(TcpListener listener, SslServerAuthenticationOptions options)
    {
        using var tcp = await listener.AcceptTcpClientAsync();
        await using var tls = new SslStream(tcp.GetStream());
        await tls.AuthenticateAsServerAsync(options);
        var head = new StringBuilder();
        var one = new byte[1];
        while (!head.ToString().EndsWith("\r\n\r\n", StringComparison.Ordinal) && await tls.ReadAsync(one) == 1)
            head.Append((char)one[0]);
        await tls.WriteAsync("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"u8.ToArray());
        return tls.NegotiatedCipherSuite;
    }

    // The fixture's servers have keys that the suites without ECDSA cannot use.
    private X509Certificate2 Issue()
    {
        using var key = RSA.Create(2048);
        using var signed = fixture.Authority.Sign(new CertificateRequest("CN=localhost", key, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1), ["localhost"]);
        using var pair = signed.CopyWithPrivateKey(key);
        return X509CertificateLoader.LoadPkcs12(pair.Export(X509ContentType.Pkcs12), null);
    }
}
