using System.Globalization;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;

namespace Discobot.Features.Certificates;

/// <summary>Real clients, each with a TLS stack and an opinion on certificates of its own, against our leaves.</summary>
public sealed class ClientAcceptanceTests : IDisposable
{
    private static readonly string[] Hosts = ["example.com", "a-b.registry-1.docker.io", "127.0.0.1", "::1"];

    private readonly CertificateFixture _fixture = new();
    private readonly TcpListener[] _listeners = BothLoopbacks();
    private readonly CertificateAuthority _authority;
    private readonly LeafCertificates _leaves;
    private readonly Task _serving;

    public ClientAcceptanceTests()
    {
        _authority = _fixture.Existing();
        _leaves = new LeafCertificates(_authority, _fixture);
        _serving = Task.WhenAll(_listeners.Select(Serve));
    }

    private string Port => ((IPEndPoint)_listeners[0].LocalEndpoint).Port.ToString(CultureInfo.InvariantCulture);

    public void Dispose()
    {
        foreach (var listener in _listeners)
            listener.Dispose();
        _serving.Wait(TimeSpan.FromSeconds(5));
        _leaves.Dispose();
        _authority.Dispose();
        _fixture.Dispose();
    }

    [Fact]
    public void OpenSSL_and_the_leaf_comes_alone()
    {
        var shown = CertificateFixture.Run("sh", "-c",
            $"openssl s_client -connect 127.0.0.1:{Port} -servername example.com -verify_hostname example.com -verify_return_error "
            + $"-x509_strict -showcerts -CAfile {_authority.CertificatePath} </dev/null");
        Assert.Contains("Verify return code: 0 (ok)", shown, StringComparison.Ordinal);
        Assert.Equal(2, shown.Split("-----BEGIN CERTIFICATE-----").Length);
    }

    [Fact]
    public void GnuTLS()
    {
        foreach (var host in Hosts)
        {
            var shown = CertificateFixture.Run("sh", "-c",
                $"gnutls-cli --x509cafile={_authority.CertificatePath} --verify-hostname={host} "
                + $"--sni-hostname={host} --port={Port} {Where(host)} </dev/null");
            Assert.Contains("- Status: The certificate is trusted.", shown, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Curl()
    {
        foreach (var host in Hosts)
        {
            var name = host.Contains(':', StringComparison.Ordinal) ? $"[{host}]" : host;
            // It is no HTTP that answers; whoever got so far has accepted the certificate.
            var shown = CertificateFixture.Run("curl", "-sv", "--http0.9", "--cacert", _authority.CertificatePath,
                "--connect-to", $"example.com:{Port}:127.0.0.1:{Port}", "--connect-to", $"{Hosts[1]}:{Port}:127.0.0.1:{Port}",
                $"https://{name}:{Port}/");
            Assert.Contains("SSL certificate verify ok", shown, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Python() => AssertAccepted(Script("client.py", """
        import socket, ssl, sys
        context = ssl.create_default_context(cafile=sys.argv[1])
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        for host in sys.argv[3:]:
            with socket.create_connection((host if host == "::1" else "127.0.0.1", int(sys.argv[2]))) as tcp, context.wrap_socket(tcp, server_hostname=host) as tls:
                print(host, tls.recv(2).decode())
        """), "python3");

    [Fact]
    public void Node() => AssertAccepted(Script("client.js", """
        const [ca, port, ...hosts] = process.argv.slice(2);
        const tls = require('tls'), net = require('net');
        const next = () => {
          const host = hosts.shift();
          if (!host) return;
          const options = { host: host === '::1' ? host : '127.0.0.1', port, ca: require('fs').readFileSync(ca), ALPNProtocols: ['http/1.1'],
            servername: net.isIP(host) ? '' : host, checkServerIdentity: (_, cert) => tls.checkServerIdentity(host, cert) };
          const client = tls.connect(options).on('data', data => { console.log(host, data.toString()); client.end(); next(); });
        };
        next();
        """), "node");

    [Fact]
    public void Java() => AssertAccepted(Script("Client.java", """
        import java.io.*; import java.net.*; import java.security.*; import java.security.cert.*; import javax.net.ssl.*;
        class Client {
          public static void main(String[] a) throws Exception {
            KeyStore store = KeyStore.getInstance(KeyStore.getDefaultType());
            store.load(null);
            store.setCertificateEntry("ca", CertificateFactory.getInstance("X.509").generateCertificate(new FileInputStream(a[0])));
            TrustManagerFactory trust = TrustManagerFactory.getInstance("PKIX");
            trust.init(store);
            SSLContext context = SSLContext.getInstance("TLS");
            context.init(null, trust.getTrustManagers(), null);
            for (int i = 2; i < a.length; i++) {
              Socket tcp = new Socket(a[i].equals("::1") ? a[i] : "127.0.0.1", Integer.parseInt(a[1]));
              SSLSocket tls = (SSLSocket) context.getSocketFactory().createSocket(tcp, a[i], 443, true);
              SSLParameters parameters = tls.getSSLParameters();
              parameters.setEndpointIdentificationAlgorithm("HTTPS");
              tls.setSSLParameters(parameters);
              System.out.println(a[i] + " " + new String(tls.getInputStream().readNBytes(2)));
              tls.close();
            }
          }
        }
        """), "java", "-XX:TieredStopAtLevel=1");

    private void AssertAccepted(string script, string program, params string[] options) => Assert.Equal(
        string.Concat(Hosts.Select(host => $"{host} ok\n")),
        CertificateFixture.Run(program, [.. options, script, _authority.CertificatePath, Port, .. Hosts]));

    private string Script(string name, string text)
    {
        var path = _fixture.PathOf(name);
        File.WriteAllText(path, text);
        return path;
    }

    private static string Where(string host) => host == "::1" ? host : "127.0.0.1";

    // The same port of both, since clients name the host and not the address.
    private static TcpListener[] BothLoopbacks()
    {
        while (true)
        {
            var first = new TcpListener(IPAddress.Loopback, 0);
            first.Start();
            var second = new TcpListener(IPAddress.IPv6Loopback, ((IPEndPoint)first.LocalEndpoint).Port);
            try
            {
                second.Start();
                return [first, second];
            }
            catch (SocketException e) when (e.SocketErrorCode == SocketError.AddressAlreadyInUse)
            {
                first.Dispose();
            }
        }
    }

    private async Task Serve(TcpListener listener)
    {
        try
        {
            while (true)
            {
                using var tcp = await listener.AcceptTcpClientAsync();
                await Answer(tcp);
            }
        }
        catch (Exception e) when (e is SocketException or InvalidOperationException)
        {
            // The test is over.
        }
    }

    private async Task Answer(TcpClient tcp)
    {
        var address = ((IPEndPoint)tcp.Client.LocalEndPoint!).Address.ToString();
        await using var tls = new SslStream(tcp.GetStream());
        try
        {
            await tls.AuthenticateAsServerAsync(
                async (_, hello, _, cancellation) => new SslServerAuthenticationOptions
                {
                    // Clients name no address in SNI (RFC 6066, 3): it is then the address they connected to.
                    ServerCertificateContext = await _leaves.GetAsync(
                        hello.ServerName is { Length: > 0 } name ? name : address, cancellation),
                },
                null, CancellationToken.None);
            await tls.WriteAsync("ok"u8.ToArray());
            await tls.ShutdownAsync();
            tls.ReadByte();
        }
        catch (IOException)
        {
            // The client went away: its output tells why.
        }
    }
}
