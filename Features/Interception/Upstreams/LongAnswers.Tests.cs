using System.Net;
using System.Net.WebSockets;
using Discobot.Tests.Fixtures;
using Microsoft.AspNetCore.Http;

namespace Discobot.Features.Interception.Upstreams;

/// <summary>Who is silent, and who may be: an upstream limit of four seconds, and pauses of six.</summary>
public sealed class LongAnswersTests
{
    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(6);

    [Theory]
    [InlineData("1.1", "text/event-stream")]
    [InlineData("2.0", "text/event-stream")]
    [InlineData("2.0", "application/grpc+proto")]
    public async Task An_answer_that_has_begun_may_pause(string version, string type)
    {
        await using var stage = await StartAsync(", upstream_timeout: 4s", type);
        Assert.Equal("one two", await stage.AskAsync("/events", version));
    }

    [Theory]
    [InlineData("1.1")]
    [InlineData("2.0")]
    public async Task Streams_have_a_limit_of_their_own(string version)
    {
        await using var stage = await StartAsync(", stream_idle_timeout: 1s", "text/event-stream");
        await Assert.ThrowsAnyAsync<Exception>(() => stage.AskAsync("/events", version));
        await using var patient = await StartAsync(", stream_idle_timeout: 60s", "text/event-stream");
        Assert.Equal("one two", await patient.AskAsync("/events", version));
    }

    [Theory]
    [InlineData(", upstream_timeout: 4s", true)]
    [InlineData(", stream_idle_timeout: 1s", false)]
    public async Task A_WebSocket_may_be_silent_unless_streams_are_limited(string section, bool survives)
    {
        await using var stage = await StartAsync(section);
        using var socket = new ClientWebSocket();
        using var invoker = new HttpMessageInvoker(stage.Handler());
        await socket.ConnectAsync(new Uri($"wss://localhost:{stage.Origin.HttpsPort}/ws"), invoker, default);
        var received = socket.ReceiveAsync(new byte[10], default).WaitAsync(TimeSpan.FromSeconds(30));
        if (survives)
            Assert.Equal(3, (await received).Count);
        else
            await Assert.ThrowsAnyAsync<Exception>(() => received);
    }

    [Theory]
    [InlineData("1.1")]
    [InlineData("2.0")]
    public async Task A_client_that_pauses_within_its_upload_makes_nobody_silent(string version)
    {
        await using var stage = await StartAsync(", upstream_timeout: 4s");
        Assert.Equal("200000", await stage.AskAsync("/upload", version, new PausingContent()));
    }

    [Theory]
    [InlineData("1.1")]
    [InlineData("2.0")]
    public async Task An_upstream_that_does_not_answer_an_upload_is_silent(string version)
    {
        await using var stage = await StartAsync(", upstream_timeout: 4s");
        var failure = await Assert.ThrowsAsync<HttpRequestException>(() => stage.AskAsync("/never", version, new ByteArrayContent(new byte[100])));
        Assert.Equal(HttpStatusCode.GatewayTimeout, failure.StatusCode);
    }

    [Theory]
    [InlineData("1.1")]
    [InlineData("2.0")]
    public async Task A_client_that_reads_slowly_makes_nobody_silent(string version)
    {
        await using var stage = await StartAsync(", upstream_timeout: 4s");
        using var client = stage.Client();
        using var request = stage.Request("/large", version);
        using var response = await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        await using var body = await response.Content.ReadAsStreamAsync();
        var buffer = new byte[64 << 10];
        var length = (long)await body.ReadAsync(buffer);
        // By time: the client's pause.
        await Task.Delay(Pause);
        while (await body.ReadAsync(buffer) is var count and > 0)
            length += count;
        Assert.Equal(30 << 20, length);
    }

    private static async Task<Stage> StartAsync(string section, string type = "text/plain")
    {
        var proxy = await RunningProxy.StartAsync("cache: {enabled: false}", proxySection: section);
        var origin = await TestOrigin.StartAsync(proxy.Upstreams.Issue(["localhost"]), async context =>
        {
            switch (context.Request.Path)
            {
                case "/events":
                    context.Response.ContentType = type;
                    await context.Response.WriteAsync("one");
                    await context.Response.Body.FlushAsync();
                    await Task.Delay(Pause, context.RequestAborted);
                    await context.Response.WriteAsync(" two");
                    break;
                case "/ws":
                    using (var socket = await context.WebSockets.AcceptWebSocketAsync())
                    {
                        // By time: the server's pause.
                        await Task.Delay(Pause);
                        await socket.SendAsync("two"u8.ToArray(), WebSocketMessageType.Text, true, default);
                        await socket.CloseOutputAsync(WebSocketCloseStatus.NormalClosure, "", default);
                    }

                    break;
                case "/upload":
                    using (var taken = new MemoryStream())
                    {
                        await context.Request.Body.CopyToAsync(taken);
                        await context.Response.WriteAsync($"{taken.Length}");
                    }

                    break;
                case "/large":
                    for (var i = 0; i < 30; i++)
                        await context.Response.Body.WriteAsync(new byte[1 << 20]);
                    break;
                default:
                    await context.Request.Body.CopyToAsync(Stream.Null);
                    await Task.Delay(30_000, context.RequestAborted);
                    break;
            }
        });
        return new Stage(proxy, origin);
    }

    private sealed record Stage(RunningProxy Proxy, TestOrigin Origin) : IAsyncDisposable
    {
        public HttpClient Client() => new(Handler()) { Timeout = TimeSpan.FromSeconds(40) };

        public SocketsHttpHandler Handler() => new()
        {
            Proxy = new WebProxy($"http://127.0.0.1:{Proxy.Port}"),
            SslOptions = { CertificateChainPolicy = Proxy.TrustOnlyOurCa() },
        };

        public HttpRequestMessage Request(string path, string version, HttpContent? body = null) => new(body is null ? HttpMethod.Get : HttpMethod.Post, Origin.Https + path)
        {
            Version = Version.Parse(version),
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
            Content = body,
        };

        public async Task<string> AskAsync(string path, string version, HttpContent? body = null)
        {
            using var client = Client();
            using var request = Request(path, version, body);
            using var response = await client.SendAsync(request);
            return await response.EnsureSuccessStatusCode().Content.ReadAsStringAsync();
        }

        public async ValueTask DisposeAsync()
        {
            await Origin.DisposeAsync();
            await Proxy.DisposeAsync();
        }
    }

    private sealed class PausingContent : HttpContent
    {
        protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context)
        {
            await stream.WriteAsync(new byte[100_000]);
            await stream.FlushAsync();
            // By time: the client's pause.
            await Task.Delay(Pause);
            await stream.WriteAsync(new byte[100_000]);
        }

        protected override bool TryComputeLength(out long length)
        {
            length = -1;
            return false;
        }
    }
}
