using System.Net;
using System.Net.WebSockets;
using System.Text;
using Discobot.Tests.Fixtures;
using Microsoft.AspNetCore.Http;

namespace Discobot.Features.Credentials;

/// <summary>
/// A secret that goes by every entry, into every kind of answer and refusal, and is then looked for in whatever the proxy writes, keeps, shows or exports. Only the
/// server that may have it has seen it.
/// </summary>
public sealed class CanaryTests : IAsyncLifetime
{
    private const string Canary = "canary/s3cret+of=the~operator";

    private RunningProxy _proxy = null!;
    private TestOrigin _origin = null!;
    private TestCollector _collector = null!;
    private int _received;

    private string Directory => Path.GetDirectoryName(_proxy.LogFile)!;

    private string Placeholder => File.ReadAllLines(Path.Combine(Directory, "placeholders.env")).Single(line => line.StartsWith("TOKEN=", StringComparison.Ordinal))["TOKEN=".Length..];

    public async Task InitializeAsync()
    {
        Environment.SetEnvironmentVariable("DISCOBOT_TEST_CANARY", Canary);
        _collector = await TestCollector.StartAsync();
        _proxy = await RunningProxy.StartAsync(
            """
            secrets: {canary: {value: "env:DISCOBOT_TEST_CANARY", hosts: [localhost], in: [header, basic, query], env: TOKEN, allow_plaintext: true}}
            headers: {localhost: {set: {X-Own: "env:DISCOBOT_TEST_CANARY"}}}
            socks: {inspect: true, users: {alice: "env:DISCOBOT_TEST_CANARY"}}
            cache: {dir: "{DIR}/cache", rules: [{pattern: "^/cached", mode: immutable}]}
            allowlist: {enabled: true, allow_private: true, domains: [localhost, other.test], ips: [127.0.0.1]}
            """,
            variables: _collector.Variables());
        _origin = await TestOrigin.StartAsync(_proxy.Upstreams.Issue(["localhost", "127.0.0.1"]), AnswerAsync);
    }

    public async Task DisposeAsync()
    {
        await _origin.DisposeAsync();
        await _proxy.DisposeAsync();
        await _collector.DisposeAsync();
    }

    [Fact]
    public async Task Whatever_happens_to_it_the_secret_is_in_nothing_that_the_proxy_writes_shows_or_exports()
    {
        var texts = new List<(string Where, string Text)>();
        foreach (var entry in (string[])["http", "connect", "socks5", "h2"])
        {
            using var client = Client(entry);
            var own = entry == "http" ? _origin.Http : _origin.Https;
            var other = own.Replace("localhost", "127.0.0.1", StringComparison.Ordinal);
            foreach (var value in (string[])[Placeholder, Canary])
            {
                foreach (var address in (string[])[$"{own}/plain", $"{own}/cached", $"{own}/cached", $"{own}/echo", $"{own}/redirect", $"{own}/error", $"{own}/cut", $"{other}/refused", $"{own}/path/{Uri.EscapeDataString(value)}", $"{own}/query?key={Uri.EscapeDataString(value)}", $"{own}/names?{Uri.EscapeDataString(value)}=1", "https://localhost:1/closed", "https://blocked.test/"])
                {
                    foreach (var field in (string[])[$"Bearer {value}", $"Basic {Convert.ToBase64String(Encoding.UTF8.GetBytes($"user:{value}"))}"])
                        texts.Add(($"the answer to {entry} {address}", await AskAsync(client, address, field)));
                }
            }
        }

        await OpenSocketAsync();
        Assert.True(_received > 20, $"{_received}");

        using var api = _proxy.Api();
        // The last one has been told of everywhere.
        await Eventually.TrueAsync(async () => (await api.GetStringAsync("/api/flows")).Contains("/socket", StringComparison.Ordinal)
            && (await File.ReadAllTextAsync(Path.Combine(Directory, "audit.jsonl"))).Contains("/socket", StringComparison.Ordinal)
            && _collector.Bodies.Any(body => Encoding.Latin1.GetString(body).Contains("/socket", StringComparison.Ordinal)));
        foreach (var path in (string[])["/", "/metrics", "/api/flows", "/api/har", "/api/config", "/api/cache", "/api/approvals", "/api/grants", "/api/allowlist/learned", $"/api/explain?url={_origin.Https}/query%3Fkey%3D{Uri.EscapeDataString(Uri.EscapeDataString(Canary))}", $"/api/explain?url={_origin.Https}/plain"])
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, path) { Headers = { { "Authorization", $"Bearer {_proxy.Token}" } } };
            using var answer = await api.SendAsync(request);
            texts.Add((path, await answer.Content.ReadAsStringAsync()));
        }

        texts.AddRange(_collector.Bodies.Select(body => ("what was exported", Encoding.Latin1.GetString(body))));
        // The lock of the cache is held, and has no content.
        foreach (var file in System.IO.Directory.EnumerateFiles(Directory, "*", SearchOption.AllDirectories).Where(file => Path.GetFileName(file) != ".lock"))
            texts.Add((file, Encoding.Latin1.GetString(await File.ReadAllBytesAsync(file))));
        Assert.Contains(texts, text => text.Where.EndsWith("audit.jsonl", StringComparison.Ordinal) && text.Text.Length > 1000);
        foreach (var (where, text) in texts)
            Assert.False(Spellings().Any(spelling => text.Contains(spelling, StringComparison.Ordinal)), $"the secret is in {where}");
    }

    // As it is, percent-encoded, escaped by JSON, and in Base64 at each of the three places where it may begin; but for its ends, which depend on what is beside it.
    private static IEnumerable<string> Spellings()
    {
        yield return Canary;
        yield return Uri.EscapeDataString(Canary);
        yield return Canary.Replace("/", "\\/", StringComparison.Ordinal);
        for (var before = 0; before < 3; before++)
            yield return Convert.ToBase64String(Encoding.UTF8.GetBytes(new string('x', before) + Canary + "xx"))[4..^8];
    }

    private static async Task<string> AskAsync(HttpClient client, string address, string field)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, address) { Version = client.DefaultRequestVersion, VersionPolicy = client.DefaultVersionPolicy };
        request.Headers.TryAddWithoutValidation("Authorization", field);
        try
        {
            using var answer = await client.SendAsync(request);
            // What the agent itself sent may come back to it, in the address of a page that does not exist; what it did not have must not.
            return field.Contains("dbot-", StringComparison.Ordinal) ? $"{answer.Headers}{await answer.Content.ReadAsStringAsync()}" : "";
        }
        catch (HttpRequestException e)
        {
            return e.Message.Contains(Canary, StringComparison.Ordinal) && !address.Contains(Canary, StringComparison.Ordinal) ? e.Message : "";
        }
    }

    private async Task OpenSocketAsync()
    {
        using var client = Client("connect");
        using var socket = new ClientWebSocket();
        socket.Options.SetRequestHeader("Authorization", $"Bearer {Placeholder}");
        await socket.ConnectAsync(new Uri($"wss://localhost:{_origin.HttpsPort}/socket"), client, CancellationToken.None);
    }

    private async Task AnswerAsync(HttpContext context)
    {
        var sent = $"{context.Request.Headers.Authorization} {context.Request.Headers["X-Own"]}";
        if (sent.Contains(Canary, StringComparison.Ordinal))
            Interlocked.Increment(ref _received);
        if (context.WebSockets.IsWebSocketRequest)
        {
            using var socket = await context.WebSockets.AcceptWebSocketAsync();
            return;
        }

        switch (context.Request.Path.Value)
        {
            case "/echo":
                context.Response.Headers["X-Echo"] = context.Request.Headers.Authorization.ToString();
                await context.Response.WriteAsync(context.Request.Headers.Authorization.ToString());
                break;
            case "/redirect":
                context.Response.StatusCode = 302;
                context.Response.Headers.Location = $"https://other.test/?key={Uri.EscapeDataString(Canary)}";
                break;
            case "/error":
                context.Response.StatusCode = 500;
                break;
            case "/cut":
                context.Response.ContentLength = 100;
                await context.Response.WriteAsync("short");
                context.Abort();
                break;
            default:
                await context.Response.WriteAsync("fine");
                break;
        }
    }

    private HttpClient Client(string entry) => new(new SocketsHttpHandler
    {
        Proxy = new WebProxy($"{(entry == "socks5" ? "socks5" : "http")}://127.0.0.1:{_proxy.Port}") { Credentials = new NetworkCredential("alice", Canary) },
        SslOptions = { CertificateChainPolicy = _proxy.TrustOnlyOurCa() },
        AllowAutoRedirect = false,
    })
    {
        DefaultRequestVersion = entry == "h2" ? HttpVersion.Version20 : HttpVersion.Version11,
        DefaultVersionPolicy = HttpVersionPolicy.RequestVersionExact,
        Timeout = TimeSpan.FromSeconds(60),
    };
}
