using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Discobot.Tests.Fixtures;

namespace Discobot.Features.Interception;

/// <summary>TLS whose content is not HTTP, between a real TLS client and a real TLS server.</summary>
public sealed class OpaqueTlsTests : IAsyncLifetime
{
    private const string PathRules = "allowlist: {enabled: true, domains: [{host: localhost, paths: [\"/open\"]}], allow_private: true}";
    private const string HostRule = "allowlist: {enabled: true, domains: [localhost], allow_private: true}";
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(20);
    private readonly TcpListener _listener = Listen();
    private readonly List<string> _negotiated = [];
    private RunningProxy? _proxy;
    private X509Certificate2? _certificate;

    private int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync()
    {
        _listener.Dispose();
        _certificate?.Dispose();
        if (_proxy is not null)
            await _proxy.DisposeAsync();
    }

    [Theory]
    [InlineData("mqtt", "\u0010\u000e\0\u0004MQTT", "")]
    [InlineData("mqtt", "\u0010\u000e\0\u0004MQTT", HostRule)]
    [InlineData("postgresql", "\0\0\0\u0008\u0004\u00d2\u0016\u002f", "")]
    [InlineData(null, "*1\r\n$4\r\nPING\r\n", "")]
    [InlineData(null, "PING\r\n", HostRule)]
    public async Task It_is_relayed_where_the_host_is_allowed(string? protocol, string said, string rules)
    {
        await StartAsync(rules, greeting: null);
        await using var tls = await OpenAsync(protocol);

        await tls.WriteAsync(Encoding.Latin1.GetBytes(said));

        Assert.Equal($"{said.Length}", await ReadAsync(tls));
        Assert.Equal(protocol ?? "", tls.NegotiatedApplicationProtocol.ToString());
        Assert.Equal(protocol ?? "", Assert.Single(_negotiated));
        Assert.Contains("relayed without inspection; tls.passthrough", await LogAsync("tunnel "), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(null)]
    [InlineData("imap")]
    public async Task A_server_that_speaks_first_is_heard_and_each_direction_ends_by_itself(string? protocol)
    {
        await StartAsync("", greeting: "* OK ready\r\n");
        await using var tls = await OpenAsync(protocol);

        Assert.Equal("* OK ready\r\n", await ReadAsync(tls));
        await tls.WriteAsync("a1 LOGOUT\r\n"u8.ToArray());
        Assert.Equal("11", await ReadAsync(tls));
        await tls.ShutdownAsync();
        Assert.Equal("bye", await ReadAsync(tls));
        Assert.Equal("", await ReadAsync(tls));
    }

    [Theory]
    [InlineData("mqtt", "\u0010\u000e\0\u0004MQTT", null)]
    [InlineData(null, "*1\r\n$4\r\nPING\r\n", null)]
    [InlineData(null, null, "* OK ready\r\n")]
    public async Task It_is_closed_at_once_where_requests_have_rules(string? protocol, string? said, string? greeting)
    {
        await StartAsync(PathRules, greeting);
        await using var tls = await OpenAsync(protocol);

        if (said is not null)
            await tls.WriteAsync(Encoding.Latin1.GetBytes(said));

        Assert.Equal("", await ReadAsync(tls));
        Assert.Contains("tls.passthrough", await LogAsync("blocked "), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("mqtt")]
    [InlineData("http/1.0")]
    [InlineData(null)]
    public async Task A_client_that_names_another_protocol_and_sends_http_is_inspected(string? protocol)
    {
        await StartAsync(PathRules, greeting: null);
        await using var tls = await OpenAsync(protocol);

        await tls.WriteAsync(Encoding.ASCII.GetBytes($"GET /closed HTTP/1.1\r\nHost: localhost:{Port}\r\n\r\n"));

        Assert.StartsWith("HTTP/1.1 403 ", await ReadAsync(tls), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_silent_client_of_a_silent_server_may_send_http_later()
    {
        await StartAsync(PathRules, greeting: null);
        await using var tls = await OpenAsync(null);
        // The server has been connected to and asked whether it speaks first.
        await Eventually.TrueAsync(() => Task.FromResult(_negotiated.Count == 1));

        await tls.WriteAsync(Encoding.ASCII.GetBytes($"GET /closed HTTP/1.1\r\nHost: localhost:{Port}\r\n\r\n"));

        Assert.StartsWith("HTTP/1.1 403 ", await ReadAsync(tls), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_server_that_is_not_verified_is_not_relayed_to()
    {
        await StartAsync("", greeting: null, name: "other.test");
        await using var tls = await OpenAsync("mqtt");

        await tls.WriteAsync("\u0010"u8.ToArray());

        Assert.Equal("", await ReadAsync(tls));
        Assert.Contains("it is for another name", await LogAsync("tunnel failed"), StringComparison.Ordinal);
    }

    // What ends with the connection would look whole otherwise.
    [Theory]
    [InlineData(true, true)]
    [InlineData(false, true)]
    [InlineData(true, false)]
    [InlineData(false, false)]
    public async Task A_reset_is_no_end_in_order_on_the_other_side(bool isDirect, bool isServers)
    {
        var ending = new TaskCompletionSource<string>();
        _proxy = await RunningProxy.StartAsync();
        _certificate = _proxy.Upstreams.Issue(["localhost"]);
        await using var origin = ScriptedOrigin.Start(async peer =>
        {
            await Wire.ReadUntilAsync(peer.Stream, "PING\r\n");
            await peer.SayAsync("+PONG\r\n");
            await peer.Stream.ReadExactlyAsync(new byte[1]);
            if (isServers)
            {
                Reset(peer.Socket);
                return;
            }

            // Whoever resets may take back what they said last, so they wait until it was heard.
            await peer.SayAsync("heard\r\n");
            ending.SetResult(await EndingAsync(peer.Stream));
        }, _certificate);
        var tcp = (NetworkStream)(isDirect
            ? new TcpClient("127.0.0.1", int.Parse(origin.Authority.Split(':')[1], System.Globalization.CultureInfo.InvariantCulture)).GetStream()
            : await Wire.ConnectAsync(_proxy, "tunnel", origin.Authority));
        await using var tls = new SslStream(tcp);
        await tls.AuthenticateAsClientAsync(new SslClientAuthenticationOptions
        {
            TargetHost = "localhost",
            CertificateChainPolicy = isDirect ? _proxy.Upstreams.TrustOnlyThis() : _proxy.TrustOnlyOurCa(),
        }).WaitAsync(Limit);
        await tls.WriteAsync("PING\r\n"u8.ToArray());
        Assert.Equal("+PONG\r\n", await Wire.ReadUntilAsync(tls, "\n").WaitAsync(Limit));
        await tls.WriteAsync("x"u8.ToArray());
        if (isServers)
        {
            Assert.Equal("reset", await EndingAsync(tls).WaitAsync(Limit));
            return;
        }

        Assert.Equal("heard\r\n", await Wire.ReadUntilAsync(tls, "\n").WaitAsync(Limit));
        Reset(tcp.Socket);
        Assert.Equal("reset", await ending.Task.WaitAsync(Limit));
    }

    // The stream would say the end in order first.
    private static void Reset(Socket socket)
    {
        socket.LingerState = new LingerOption(true, 0);
        socket.Dispose();
    }

    private static async Task<string> EndingAsync(Stream stream)
    {
        try
        {
            return await stream.ReadAsync(new byte[1]) == 0 ? "end" : "more";
        }
        catch (IOException e) when (e.InnerException is SocketException { SocketErrorCode: SocketError.ConnectionReset })
        {
            return "reset";
        }
    }

    private async Task StartAsync(string rules, string? greeting, string name = "localhost")
    {
        _proxy = await RunningProxy.StartAsync(rules);
        _certificate = _proxy.Upstreams.Issue([name]);
        _ = Task.Run(async () =>
        {
            try
            {
                while (true)
                    _ = ServeAsync(await _listener.AcceptTcpClientAsync(), greeting);
            }
            catch (Exception e) when (e is SocketException or ObjectDisposedException or InvalidOperationException)
            {
                // The test is over.
            }
        });
    }

    private static TcpListener Listen()
    {
        var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return listener;
    }

    // Answers each message with its length, and the end with a farewell.
    private async Task ServeAsync(TcpClient connection, string? greeting)
    {
        using (connection)
        {
            try
            {
                await using var tls = new SslStream(connection.GetStream());
                await tls.AuthenticateAsServerAsync(new SslServerAuthenticationOptions
                {
                    ServerCertificate = _certificate,
                    ApplicationProtocols = [new("mqtt"), new("postgresql"), new("imap")],
                });
                _negotiated.Add(tls.NegotiatedApplicationProtocol.ToString());
                if (greeting is not null)
                    await tls.WriteAsync(Encoding.ASCII.GetBytes(greeting));
                var piece = new byte[1000];
                while (await tls.ReadAsync(piece) is > 0 and var count)
                    await tls.WriteAsync(Encoding.ASCII.GetBytes($"{count}"));
                await tls.WriteAsync("bye"u8.ToArray());
                await tls.ShutdownAsync();
            }
            catch (Exception e) when (e is IOException or AuthenticationException or SocketException)
            {
                // The proxy has gone.
            }
        }
    }

    private async Task<SslStream> OpenAsync(string? protocol)
    {
        var tcp = new TcpClient("127.0.0.1", _proxy!.Port);
        await tcp.GetStream().WriteAsync(Encoding.ASCII.GetBytes($"CONNECT localhost:{Port} HTTP/1.1\r\n\r\n"));
        await Wire.ReadUntilAsync(tcp.GetStream(), "\r\n\r\n");
        var tls = new SslStream(tcp.GetStream());
        await tls.AuthenticateAsClientAsync(new SslClientAuthenticationOptions
        {
            TargetHost = "localhost",
            CertificateChainPolicy = _proxy.TrustOnlyOurCa(),
            ApplicationProtocols = protocol is null ? null : [new SslApplicationProtocol(protocol)],
        }).WaitAsync(Limit);
        return tls;
    }

    private static async Task<string> ReadAsync(SslStream tls)
    {
        var piece = new byte[4000];
        return Encoding.Latin1.GetString(piece, 0, await tls.ReadAsync(piece).AsTask().WaitAsync(Limit));
    }

    private async Task<string> LogAsync(string begin)
    {
        var line = "";
        await Eventually.TrueAsync(async () =>
        {
            line = (await File.ReadAllLinesAsync(_proxy!.LogFile)).FirstOrDefault(l => l.Contains(begin, StringComparison.Ordinal)) ?? "";
            return line.Length > 0;
        });
        return line;
    }
}
