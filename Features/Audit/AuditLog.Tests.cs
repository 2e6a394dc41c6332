using System.Diagnostics;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Net.WebSockets;
using System.Text;
using System.Text.Json;
using Discobot.Tests.Fixtures;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging.Abstractions;

namespace Discobot.Features.Audit;

/// <summary>What stands in the audit log after real clients have spoken to real servers.</summary>
public sealed class AuditLogTests : IAsyncLifetime
{
    private const string Secret = "s3cret-value";
    private readonly string _directory = Directory.CreateTempSubdirectory("discobot-test-").FullName;
    private RunningProxy _proxy = null!;
    private TestOrigin _origin = null!;

    private string AuditFile => Path.Combine(_directory, "audit.jsonl");

    public async Task InitializeAsync()
    {
        _proxy = await RunningProxy.StartAsync($$"""
            audit: { file: {{AuditFile}} }
            allowlist: {enabled: true, domains: [{host: localhost}], ips: [127.0.0.1]}
            headers: {localhost: {set: {X-Injected: {{Secret}}}, allow_plaintext: true} }
            """);
        _origin = await TestOrigin.StartAsync(_proxy.Upstreams.Issue(["localhost"]), async context =>
        {
            if (context.Request.Path == "/half")
            {
                context.Response.ContentLength = 1000;
                await context.Response.WriteAsync("half");
                await context.Response.Body.FlushAsync();
                // By time: what has come by then is on its way to the client.
                await Task.Delay(300);
                context.Abort();
                return;
            }

            if (context.Request.Path == "/socket")
            {
                using var socket = await context.WebSockets.AcceptWebSocketAsync();
                var got = await socket.ReceiveAsync(new byte[100], default);
                await socket.SendAsync(new byte[got.Count * 2], got.MessageType, true, default);
                await socket.CloseAsync(WebSocketCloseStatus.NormalClosure, "", default);
                return;
            }

            await context.Request.Body.CopyToAsync(Stream.Null);
            await context.Response.WriteAsync("twelve bytes");
        });
    }

    public async Task DisposeAsync()
    {
        await _origin.DisposeAsync();
        await _proxy.DisposeAsync();
        Directory.Delete(_directory, recursive: true);
    }

    [Theory]
    [InlineData("1.1", false, "http", "h1")]
    [InlineData("1.1", true, "connect", "h1")]
    [InlineData("2.0", true, "connect", "h2")]
    public async Task A_request_is_one_line_with_where_it_went_how_long_it_took_and_whose_it_was_and_without_any_value(string version, bool tls, string entry, string protocol)
    {
        using var client = _proxy.Client(Version.Parse(version));
        using var request = new HttpRequestMessage(HttpMethod.Post, $"{(tls ? _origin.Https : _origin.Http)}/a/b?q={Secret}&{Secret}")
        {
            Content = new StringContent("five!"),
            Version = Version.Parse(version),
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
        };
        request.Headers.TryAddWithoutValidation("X-Mine", Secret);
        using var response = await client.SendAsync(request);
        Assert.Equal("twelve bytes", await response.Content.ReadAsStringAsync());

        var line = await LineAsync(l => Text(l, "path") == "/a/b");
        Assert.Equal((entry, "POST", tls ? "https" : "http", "localhost", protocol), (Text(line, "entry"), Text(line, "method"), Text(line, "scheme"), Text(line, "host"), Text(line, "protocol")));
        Assert.Equal((200, 5, 12), (Number(line, "status"), Number(line, "request_bytes"), Number(line, "response_bytes")));
        Assert.Equal("""["q","…"]""", line.GetProperty("query").GetRawText());
        Assert.Equal("""["X-Injected"]""", line.GetProperty("injected").GetRawText());
        Assert.Equal(("none", "allowed", "\"localhost\"", "127.0.0.1"), (Text(line, "cache"), Text(line, "verdict"), Text(line, "rule"), Text(line, "upstream_address")));
        Assert.True(line.GetProperty("complete").GetBoolean());
        foreach (var time in tls ? (string[])["duration_ms", "dns_ms", "connect_ms", "tls_ms", "first_byte_ms"] : ["duration_ms", "dns_ms", "connect_ms", "first_byte_ms"])
            Assert.InRange(line.GetProperty(time).GetDouble(), 0, 30_000);
        var owner = line.GetProperty("client");
        Assert.Equal(Environment.ProcessId, Number(owner, "pid"));
        Assert.Equal(Environment.ProcessPath, Text(owner, "program"));
        Assert.NotEmpty(owner.GetProperty("parents").EnumerateArray());
        Assert.DoesNotContain(Secret, await File.ReadAllTextAsync(AuditFile), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_refusal_has_the_number_that_its_client_and_the_log_were_told()
    {
        using var client = _proxy.Client();
        using var refused = await client.GetAsync("http://elsewhere.example/x?secret=1");
        Assert.Equal(HttpStatusCode.Forbidden, refused.StatusCode);
        var id = Assert.Single(refused.Headers.GetValues("X-Discobot-Request-Id"));

        Assert.Contains($"\"request_id\":\"{id}\"", await refused.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        var line = await LineAsync(l => Text(l, "id") == id);
        Assert.Equal(("elsewhere.example", "blocked", "blocked", 403), (Text(line, "host"), Text(line, "verdict"), Text(line, "error"), Number(line, "status")));
        await Eventually.TrueAsync(async () => (await File.ReadAllLinesAsync(_proxy.LogFile)).Count(l => l.Contains($" id={id}", StringComparison.Ordinal)) == 3);
    }

    [Fact]
    public async Task An_answer_that_broke_off_is_not_complete()
    {
        using var client = _proxy.Client();
        await Assert.ThrowsAnyAsync<HttpRequestException>(() => client.GetStringAsync($"{_origin.Http}/half"));

        var line = await LineAsync(l => Text(l, "path") == "/half");
        Assert.False(line.GetProperty("complete").GetBoolean());
        Assert.Contains(Text(line, "error"), (string[])["upstream_closed", "upstream_reset"]);
    }

    [Theory]
    [InlineData("CONNECT localhost:1 HTTP/1.1\r\nHost: elsewhere\r\n\r\n", "connect", "bad_request")]
    [InlineData("\x01", "http", "the first byte belongs to no protocol spoken here (HTTP, SOCKS5)")]
    [InlineData("GET / HTTP/1.1\r\nHost: x\r\n\r\n", "http", "not_a_proxy_request")]
    [InlineData("\x05\x01\x02", "socks5", "the client insists on authentication, and neither clients nor socks.users are configured")]
    public async Task What_is_turned_away_at_the_door_is_told_too(string said, string entry, string error)
    {
        using var tcp = new TcpClient("127.0.0.1", _proxy.Port);
        await tcp.GetStream().WriteAsync(Encoding.Latin1.GetBytes(said));

        var line = await LineAsync(l => Text(l, "verdict") == "refused");
        Assert.Equal((entry, error), (Text(line, "entry"), Text(line, "error")));
    }

    /// <summary>Above all those of clients that do not trust the authority, or pin a certificate.</summary>
    [Theory]
    [InlineData("localhost:1", "leaves", "allowed", "tcp", "the client asked for nothing")]
    [InlineData("localhost:1", "distrusts", "allowed", "tls", "the client ended TLS before it was agreed on")]
    [InlineData("localhost:1", "trusts", "allowed", "tls", "the client asked for nothing")]
    [InlineData("elsewhere.example:443", "leaves", "blocked", "tcp", "blocked")]
    [InlineData("elsewhere.example:443", "distrusts", "blocked", "tls", "blocked")]
    public async Task A_tunnel_in_which_nothing_is_asked_is_told_too(string authority, string client, string verdict, string protocol, string error)
    {
        if (client == "distrusts")
        {
            // It ends the handshake by an alert, as most do; some end it first, and then close.
            using var curl = Process.Start("curl", ["-s", "-o", "/dev/null", "--cacert", "/dev/null", "-x", $"http://127.0.0.1:{_proxy.Port}", $"https://{authority}/"]);
            await curl.WaitForExitAsync();
            Assert.NotEqual(0, curl.ExitCode);
        }
        else
        {
            using var tcp = new TcpClient("127.0.0.1", _proxy.Port);
            await tcp.GetStream().WriteAsync(Encoding.ASCII.GetBytes($"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n"));
            await Wire.ReadUntilAsync(tcp.GetStream(), "\r\n\r\n");
            await using var tls = new SslStream(tcp.GetStream());
            if (client == "trusts")
                await tls.AuthenticateAsClientAsync(new SslClientAuthenticationOptions { TargetHost = authority.Split(':')[0], CertificateChainPolicy = _proxy.TrustOnlyOurCa() });
        }

        var line = await LineAsync(l => Text(l, "entry") == "connect");
        Assert.Equal((verdict, protocol, error), (Text(line, "verdict"), Text(line, "protocol"), Text(line, "error")));
        Assert.Equal((authority.Split(':')[0], false), (Text(line, "host"), line.GetProperty("complete").GetBoolean()));
    }

    [Fact]
    public async Task A_tunnel_is_told_when_it_is_over_with_its_bytes()
    {
        using var server = new TcpListener(IPAddress.Loopback, 0);
        server.Start();
        var port = ((IPEndPoint)server.LocalEndpoint).Port;
        using (var tcp = new TcpClient("127.0.0.1", _proxy.Port))
        {
            await tcp.GetStream().WriteAsync((byte[])[5, 1, 0, 5, 1, 0, 1, 127, 0, 0, 1, (byte)(port >> 8), (byte)port]);
            using var accepted = await server.AcceptTcpClientAsync();
            await tcp.GetStream().ReadExactlyAsync(new byte[12]);
            await tcp.GetStream().WriteAsync("hello"u8.ToArray());
            await accepted.GetStream().ReadExactlyAsync(new byte[5]);
            await accepted.GetStream().WriteAsync("you"u8.ToArray());
            await tcp.GetStream().ReadExactlyAsync(new byte[3]);
        }

        var line = await LineAsync(l => Text(l, "entry") == "socks5");
        Assert.Equal(("127.0.0.1", port, "tcp", 5, 3), (Text(line, "host"), Number(line, "port"), Text(line, "protocol"), Number(line, "request_bytes"), Number(line, "response_bytes")));
    }

    [Fact]
    public async Task A_WebSocket_is_told_when_it_is_over_with_all_that_was_said()
    {
        using var invoker = new HttpMessageInvoker(new SocketsHttpHandler { Proxy = new WebProxy($"http://127.0.0.1:{_proxy.Port}") });
        using (var socket = new ClientWebSocket())
        {
            await socket.ConnectAsync(new Uri($"ws://localhost:{_origin.HttpPort}/socket"), invoker, default);
            await socket.SendAsync(new byte[20], WebSocketMessageType.Binary, true, default);
            Assert.Equal(40, (await socket.ReceiveAsync(new byte[100], default)).Count);
            await socket.CloseAsync(WebSocketCloseStatus.NormalClosure, "", default);
        }

        var line = await LineAsync(l => Text(l, "path") == "/socket");
        Assert.Equal(("ws", 101), (Text(line, "protocol"), Number(line, "status")));
        Assert.InRange(Number(line, "request_bytes"), 26, 100);
        Assert.InRange(Number(line, "response_bytes"), 42, 100);
    }

    [Fact]
    public async Task What_the_disk_does_not_take_is_counted_and_the_count_is_in_the_file_once_it_does()
    {
        var path = Path.Combine(_directory, "away");
        await File.WriteAllTextAsync(path, "a file where a directory has to be");
        using (var log = new AuditLog(new AuditOptions(), Path.Combine(path, "audit.jsonl"), new FlowLine(""), NullLogger<AuditLog>.Instance))
        {
            for (var i = 0; i < 3; i++)
                log.Ended(new Flow { Id = "1", Entry = "http" });
            // By time: the writer says nothing of a try that failed.
            await Task.Delay(200);
            File.Delete(path);
            await Eventually.TrueAsync(() =>
            {
                log.Ended(new Flow { Id = "2", Entry = "http" });
                return Task.FromResult(File.Exists(Path.Combine(path, "audit.jsonl")));
            });
        }

        var lines = await File.ReadAllLinesAsync(Path.Combine(path, "audit.jsonl"));
        Assert.True(JsonElement.Parse(lines.First(l => l.Contains("dropped", StringComparison.Ordinal))).GetProperty("dropped").GetInt32() >= 3);
    }

    [Fact]
    public async Task A_file_that_is_full_is_renamed_and_as_many_are_kept_as_is_said()
    {
        var path = Path.Combine(_directory, "small.jsonl");
        using (var log = new AuditLog(new AuditOptions { MaxSize = 1000, Keep = 2 }, path, new FlowLine("s1"), NullLogger<AuditLog>.Instance))
        {
            for (var i = 0; i < 8; i++)
            {
                log.Ended(new Flow { Id = $"{i}", Entry = "http", Host = new string('x', 800) });
                await Eventually.TrueAsync(async () => await ReadAsync(path) is { } text && text.Contains($"\"id\":\"{i}\"", StringComparison.Ordinal));
            }
        }

        Assert.Equal(["small.jsonl", "small.jsonl.1", "small.jsonl.2"], Directory.GetFiles(_directory, "small*").Select(Path.GetFileName).Order());
        Assert.Contains("\"session\":\"s1\"", await File.ReadAllTextAsync(path), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Without_it_there_is_no_file()
    {
        var path = Path.Combine(_directory, "off.jsonl");
        // Whatever there is to be written is written when it has ended.
        await using (var proxy = await RunningProxy.StartAsync($"audit: {{ file: {path}, enabled: false }}"))
        {
            using var client = proxy.Client();
            using var answer = await client.GetAsync("http://nowhere.invalid/");
        }

        Assert.False(File.Exists(path));
    }

    // Null while it is not there: between being renamed and being made anew.
    private static async Task<string?> ReadAsync(string path)
    {
        try
        {
            return await File.ReadAllTextAsync(path);
        }
        catch (FileNotFoundException)
        {
            return null;
        }
    }

    private async Task<JsonElement> LineAsync(Func<JsonElement, bool> which)
    {
        JsonElement? found = null;
        await Eventually.TrueAsync(async () =>
        {
            found = (await File.ReadAllLinesAsync(AuditFile)).Select(l => (JsonElement?)JsonElement.Parse(l)).FirstOrDefault(l => which(l!.Value));
            return found is not null;
        });
        return found!.Value;
    }

    private static string? Text(JsonElement line, string name) => line.TryGetProperty(name, out var value) ? value.GetString() : null;

    private static int Number(JsonElement line, string name) => line.GetProperty(name).GetInt32();
}
