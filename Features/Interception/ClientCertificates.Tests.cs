using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json;
using Discobot.Tests.Fixtures;

namespace Discobot.Features.Interception;

/// <summary>Servers that want to know who the client is by its certificate, which an intercepting proxy does not have.</summary>
public sealed class ClientCertificatesTests : IAsyncLifetime
{
    private RunningProxy _proxy = null!;
    private X509Certificate2 _certificate = null!;

    public async Task InitializeAsync()
    {
        _proxy = await RunningProxy.StartAsync();
        _certificate = _proxy.Upstreams.Issue(["localhost"]);
    }

    public async Task DisposeAsync()
    {
        _certificate.Dispose();
        await _proxy.DisposeAsync();
    }

    [Theory]
    [InlineData(SslProtocols.Tls12, "1.1", "1.1")]
    [InlineData(SslProtocols.Tls12, "2.0", "2.0")]
    [InlineData(SslProtocols.Tls13, "1.1", "1.1")]
    [InlineData(SslProtocols.Tls13, "2.0", "2.0")]
    [InlineData(SslProtocols.Tls13, "2.0", "1.1")]
    public async Task A_server_that_requires_one_is_502_and_says_what_helps(SslProtocols version, string client, string server)
    {
        var (error, status) = await AskAsync(version, asks: true, requires: true, Version.Parse(client), server);

        Assert.Equal(HttpStatusCode.BadGateway, status);
        Assert.Equal("upstream_client_certificate", error.Code);
        Assert.Contains("localhost ended the connection, and it asks for a client certificate", error.Reason, StringComparison.Ordinal);
        Assert.Contains("tls.passthrough", error.Reason, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(SslProtocols.Tls12)]
    [InlineData(SslProtocols.Tls13)]
    public async Task A_request_with_a_body_is_told_the_same(SslProtocols version)
    {
        using var body = new StringContent(new string('x', 300_000));
        var (error, _) = await AskAsync(version, asks: true, requires: true, HttpVersion.Version11, "1.1", body);

        Assert.Equal("upstream_client_certificate", error.Code);
    }

    [Theory]
    [InlineData(SslProtocols.Tls12, "1.1")]
    [InlineData(SslProtocols.Tls13, "1.1")]
    [InlineData(SslProtocols.Tls13, "2.0")]
    public async Task One_that_asks_and_does_without_answers(SslProtocols version, string client)
    {
        var (_, status) = await AskAsync(version, asks: true, requires: false, Version.Parse(client), "1.1");

        Assert.Equal(HttpStatusCode.OK, status);
    }

    [Theory]
    [InlineData("1.1", "400 Bad Request", true, true)]
    [InlineData("1.1", "403 Forbidden", true, true)]
    [InlineData("1.1", "403 Forbidden", false, false)]
    [InlineData("1.1", "404 Not Found", true, false)]
    public async Task One_that_asks_does_without_and_refuses_the_request_is_told_in_the_log(string client, string answer, bool asks, bool isTold)
    {
        using var listener = Serve(SslProtocols.Tls13, asks, requires: false, "1.1", answer);
        var port = ((IPEndPoint)listener.LocalEndpoint).Port;
        using var http = _proxy.Client(Version.Parse(client));
        using var response = await http.GetAsync(new Uri($"https://localhost:{port}/"));
        Assert.Equal(answer, $"{(int)response.StatusCode} {response.ReasonPhrase}");
        Assert.Equal("known", await response.Content.ReadAsStringAsync());
        Assert.False(response.Headers.Contains("X-Discobot-Error"));
        // Another one that is told, behind it.
        using var other = Serve(SslProtocols.Tls13, asks: true, requires: false, "1.1", "403 Forbidden");
        var last = ((IPEndPoint)other.LocalEndpoint).Port;
        (await http.GetAsync(new Uri($"https://localhost:{last}/"))).Dispose();

        await Eventually.TrueAsync(async () => Hints(await File.ReadAllTextAsync(_proxy.LogFile), last).Any());
        if (isTold)
            await Eventually.TrueAsync(async () => Hints(await File.ReadAllTextAsync(_proxy.LogFile), port).Any());
        var told = Hints(await File.ReadAllTextAsync(_proxy.LogFile), port);
        Assert.All(told, line => Assert.Contains($"localhost answered {answer[..3]}, and it asks for a client certificate", line, StringComparison.Ordinal));
        Assert.All(told, line => Assert.Contains("List localhost in tls.passthrough", line, StringComparison.Ordinal));
        Assert.Equal(isTold ? 1 : 0, told.Count());
    }

    private static IEnumerable<string> Hints(string log, int port) =>
        log.Split('\n').Where(line => line.Contains("client certificate", StringComparison.Ordinal) && line.Contains($"localhost:{port}", StringComparison.Ordinal));

    [Fact]
    public async Task A_handshake_that_fails_for_another_reason_is_not_taken_for_it()
    {
        // No suite in common: a handshake failure, as some servers say it about certificates.
        var (error, _) = await AskAsync(SslProtocols.Tls12, asks: false, requires: true, HttpVersion.Version11, "1.1");

        Assert.Equal("upstream_tls", error.Code);
    }

    [Theory]
    [InlineData(SslProtocols.Tls12)]
    [InlineData(SslProtocols.Tls13)]
    public async Task With_passthrough_the_client_presents_its_own(SslProtocols version)
    {
        await using var proxy = await RunningProxy.StartAsync(tls: ", passthrough: [localhost]");
        using var listener = Serve(version, asks: true, requires: true, "1.1");
        using var handler = new SocketsHttpHandler
        {
            Proxy = new WebProxy($"http://127.0.0.1:{proxy.Port}"),
            SslOptions =
            {
                ClientCertificates = [_certificate],
                LocalCertificateSelectionCallback = (_, _, _, _, _) => _certificate,
                RemoteCertificateValidationCallback = (_, certificate, _, _) => certificate?.GetCertHashString() == _certificate.GetCertHashString(),
            },
        };
        using var client = new HttpClient(handler);

        Assert.Equal("known", await client.GetStringAsync(new Uri($"https://localhost:{((IPEndPoint)listener.LocalEndpoint).Port}/")));
    }

    private async Task<((string Code, string Reason) Error, HttpStatusCode Status)> AskAsync(
        SslProtocols version, bool asks, bool requires, Version client, string server, HttpContent? body = null)
    {
        using var listener = Serve(version, asks, requires, server);
        using var http = _proxy.Client(client);
        using var request = new HttpRequestMessage(body is null ? HttpMethod.Get : HttpMethod.Post, $"https://localhost:{((IPEndPoint)listener.LocalEndpoint).Port}/")
        {
            Version = client,
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
            Content = body,
        };
        using var response = await http.SendAsync(request);
        if (response.IsSuccessStatusCode)
            return (("", ""), response.StatusCode);
        using var json = JsonDocument.Parse(await response.Content.ReadAsStringAsync());
        Assert.Equal(json.RootElement.GetProperty("error").GetString(), response.Headers.GetValues("X-Discobot-Error").Single());
        return ((json.RootElement.GetProperty("error").GetString()!, json.RootElement.GetProperty("reason").GetString()!), response.StatusCode);
    }

    private TcpListener Serve(SslProtocols version, bool asks, bool requires, string http, string answer = "200 OK")
    {
        var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        _ = Task.Run(async () =>
        {
            try
            {
                while (true)
                    _ = ServeAsync(await listener.AcceptTcpClientAsync(), version, asks, requires, http, answer);
            }
            catch (Exception e) when (e is SocketException or ObjectDisposedException or InvalidOperationException)
            {
                // The test is over.
            }
        });
        return listener;
    }

    private async Task ServeAsync(TcpClient connection, SslProtocols version, bool asks, bool requires, string http, string answer)
    {
        using (connection)
        {
            try
            {
                await using var tls = new SslStream(connection.GetStream());
                await tls.AuthenticateAsServerAsync(new SslServerAuthenticationOptions
                {
                    ServerCertificate = _certificate,
                    EnabledSslProtocols = version,
                    ClientCertificateRequired = asks,
                    // RSA alone, which a key of another kind cannot serve.
                    CipherSuitesPolicy = asks || !requires ? null : new CipherSuitesPolicy([TlsCipherSuite.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256]),
                    ApplicationProtocols = http == "2.0" ? [SslApplicationProtocol.Http2] : [SslApplicationProtocol.Http11],
                    RemoteCertificateValidationCallback = (_, certificate, _, _) => !requires || certificate is not null,
                });
                await Wire.ReadUntilAsync(tls, "\r\n\r\n");
                await tls.WriteAsync(Encoding.ASCII.GetBytes($"HTTP/1.1 {answer}\r\nContent-Length: 5\r\n\r\nknown"));
            }
            catch (Exception e) when (e is IOException or AuthenticationException or SocketException)
            {
                // The server has refused, or the proxy has gone.
            }
        }
    }
}
