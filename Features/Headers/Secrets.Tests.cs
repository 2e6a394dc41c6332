using System.Collections.Concurrent;
using System.Net;
using System.Net.Security;
using System.Text;
using Discobot.Tests.Fixtures;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Serilog.Core;
using Serilog.Events;

namespace Discobot.Features.Headers;

/// <summary>A secret for one host, and every way in which it might come to another: through the whole proxy, to real servers.</summary>
public sealed class SecretsTests : IAsyncLifetime
{
    // "localhost" has the secret. The same server under the name 127.0.0.1 is the one that must never see it.
    private const string Rule = "headers: {localhost: {set: {Authorization: \"env:DISCOBOT_TEST_TOKEN\", X-Literal: s3cret-literal, X-File: \"file:{DIR}/token\"}}}";

    private readonly ConcurrentQueue<(string Host, string Fields)> _seen = new();
    private RunningProxy _proxy = null!;
    private TestOrigin _origin = null!;

    private string Other => $"127.0.0.1:{_origin.HttpsPort}";

    private string Own => $"localhost:{_origin.HttpsPort}";

    public async Task InitializeAsync()
    {
        Environment.SetEnvironmentVariable("DISCOBOT_TEST_TOKEN", "s3cret-env");
        await StartAsync($"{Rule}\nsocks: {{inspect: true}}");
    }

    public async Task DisposeAsync()
    {
        await _origin.DisposeAsync();
        await _proxy.DisposeAsync();
    }

    [Theory]
    [InlineData("1.1")]
    [InlineData("2.0")]
    public async Task The_rules_host_gets_it_over_verified_tls(string version)
    {
        using var client = _proxy.Client(Version.Parse(version));
        await client.GetStringAsync(new Uri($"https://{Own}/"));
        var (_, fields) = Assert.Single(_seen);
        Assert.All(["s3cret-env", "s3cret-literal", "s3cret-file"], secret => Assert.Contains(secret, fields, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("GET / HTTP/1.1\nHost: {own}", 421)]
    [InlineData("GET https://{own}/ HTTP/1.1\nHost: {other}", 421)]
    [InlineData("GET https://{own}/ HTTP/1.1\nHost: {own}", 421)]
    [InlineData("GET https://{other}@{own}/ HTTP/1.1\nHost: {other}", 421)]
    [InlineData("GET / HTTP/1.1\nHost: {other}\nHost: {own}", 400)]
    [InlineData("GET / HTTP/1.1\nHost: {own}@{other}", 400)]
    [InlineData("GET https://{other}/ HTTP/1.1\nHost: {own}", 200)]
    [InlineData("GET / HTTP/1.1\nHost: {other}\nX-Forwarded-Host: {own}\nForwarded: host={own}", 200)]
    [InlineData("GET //{own}/ HTTP/1.1\nHost: {other}", 200)]
    [InlineData("GET /\\{own}/ HTTP/1.1\nHost: {other}", 200)]
    public async Task A_tunnel_to_another_host_never_carries_it_whatever_the_request_says(string head, int status)
    {
        head = Fill(head);
        await using (var tunnel = await RawTunnel.ConnectAsync(_proxy, "127.0.0.1", _origin.HttpsPort, SslApplicationProtocol.Http11))
            Assert.Equal(status, await tunnel.AskAsync(head));
        // 5 1 0: a greeting; then CONNECT to 127.0.0.1, granted in ten bytes behind two.
        byte[] socks = [5, 1, 0, 5, 1, 0, 1, 127, 0, 0, 1, (byte)(_origin.HttpsPort >> 8), (byte)_origin.HttpsPort];
        await using (var tunnel = await RawTunnel.OpenAsync(_proxy, socks, 12, "127.0.0.1", SslApplicationProtocol.Http11))
            Assert.Equal(status, await tunnel.AskAsync(head));
        AssertSeenWithout(status == 200 ? 2 : 0);
    }

    [Theory]
    [InlineData(":authority={own}", 421)]
    [InlineData("host={own}", 421)]
    [InlineData(":authority={own}@{other}", 0)]
    [InlineData(":authority={other}|host={own}", 200)]
    [InlineData(":authority={own}|host={other}", 421)]
    [InlineData(":authority={other}|:authority={own}", 0)]
    [InlineData(":authority={other}|x-forwarded-host={own}", 200)]
    public async Task No_game_with_http2s_authority_moves_it(string fields, int status)
    {
        (string, string)[] more = [.. Fill(fields).Split('|').Select(f => f.Split('=')).Select(f => (f[0], f[1]))];
        await using var tunnel = await RawTunnel.ConnectAsync(_proxy, "127.0.0.1", _origin.HttpsPort, SslApplicationProtocol.Http2);
        Assert.Equal(status, await tunnel.AskHttp2Async([(":method", "GET"), (":scheme", "https"), (":path", "/"), .. more]));
        AssertSeenWithout(status == 200 ? 1 : 0);
    }

    [Theory]
    [InlineData(":scheme=https|:path=https://{own}/")]
    [InlineData(":scheme=https|:path=@{own}/")]
    [InlineData(":scheme=http|:path=/")]
    public async Task Nor_does_another_path_or_scheme(string fields)
    {
        (string, string)[] more = [.. Fill(fields).Split('|').Select(f => f.Split('=')).Select(f => (f[0], f[1]))];
        await using var tunnel = await RawTunnel.ConnectAsync(_proxy, "127.0.0.1", _origin.HttpsPort, SslApplicationProtocol.Http2);
        await tunnel.AskHttp2Async([(":method", "GET"), .. more, (":authority", Other)]);
        AssertSeenWithout(_seen.Count);
    }

    [Fact]
    public async Task A_redirect_to_another_host_leaves_it_behind()
    {
        using var handler = new SocketsHttpHandler
        {
            Proxy = new WebProxy($"http://127.0.0.1:{_proxy.Port}"),
            SslOptions = { CertificateChainPolicy = _proxy.TrustOnlyOurCa() },
        };
        using var client = new HttpClient(handler);
        using var answer = await client.GetAsync(new Uri($"https://{Own}/moved"));
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        Assert.DoesNotContain("s3cret", answer.ToString(), StringComparison.Ordinal);
        Assert.Contains(_seen, s => s.Host == Own && s.Fields.Contains("s3cret-env", StringComparison.Ordinal));
        Assert.Contains(_seen, s => s.Host == Other && !s.Fields.Contains("s3cret", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Plain_http_never_carries_it()
    {
        using var client = _proxy.Client();
        await client.GetStringAsync(new Uri(_origin.Http));
        AssertSeenWithout(1);
    }

    [Fact]
    public async Task An_upstream_whose_certificate_nobody_checks_never_gets_it()
    {
        await DisposeAsync();
        await StartAsync(Rule, ", insecure_hosts: [localhost]");
        using var client = _proxy.Client();
        await client.GetStringAsync(new Uri($"https://{Own}/"));
        AssertSeenWithout(1);
        await Eventually.TrueAsync(async () => (await File.ReadAllTextAsync(_proxy.LogFile)).Contains("upstreams not verified host=localhost", StringComparison.Ordinal));
    }

    [Fact]
    public async Task No_log_no_error_and_no_answer_of_the_api_shows_it()
    {
        _proxy.Services.GetRequiredService<LoggingLevelSwitch>().MinimumLevel = LogEventLevel.Verbose;
        using var stranger = new TestAuthority();
        await using var untrusted = await TestOrigin.StartAsync(stranger.Issue(["localhost"]), context => context.Response.WriteAsync("never"));
        using var client = _proxy.Client();
        using var api = _proxy.Api();
        var shown = new StringBuilder();
        foreach (var address in new[] { $"https://{Own}/", $"https://{Own}/broken", $"https://localhost:{RunningProxy.FreePort()}/", untrusted.Https, _origin.Http })
        {
            using var answer = await client.GetAsync(new Uri(address));
            shown.Append(answer).Append(await answer.Content.ReadAsStringAsync());
        }

        string[] questions = ["/api/config", $"/api/explain?url=https://{Own}/", "/metrics", "/health", "/api/cache/stats", "/api/allowlist/learned", "/nothing"];
        foreach (var question in questions)
        {
            using var answer = await api.GetAsync(new Uri(question, UriKind.Relative));
            shown.Append(answer).Append(await answer.Content.ReadAsStringAsync());
        }

        // What the servers saw, so that there was something to show.
        Assert.Contains(_seen, s => s.Fields.Contains("s3cret-env", StringComparison.Ordinal));
        Assert.Contains("Authorization", shown.ToString(), StringComparison.Ordinal);
        Assert.DoesNotContain("s3cret-", shown.ToString(), StringComparison.Ordinal);
        Assert.DoesNotContain("s3cret-", await File.ReadAllTextAsync(_proxy.LogFile), StringComparison.Ordinal);
    }

    private async Task StartAsync(string yaml, string tls = "")
    {
        _proxy = await RunningProxy.StartAsync(yaml, tls);
        await File.WriteAllTextAsync(Path.Combine(Path.GetDirectoryName(_proxy.LogFile)!, "token"), "s3cret-file\n");
        _origin = await TestOrigin.StartAsync(_proxy.Upstreams.Issue(["localhost", "127.0.0.1"]), async context =>
        {
            _seen.Enqueue((context.Request.Host.Value!, string.Join('\n', context.Request.Headers.Select(h => $"{h.Key}: {h.Value}"))));
            if (context.Request.Path == "/moved")
                context.Response.Redirect($"https://{Other}/after");
            else if (context.Request.Path == "/broken")
                context.Abort();
            else
                await context.Response.WriteAsync("fine");
        });
    }

    private string Fill(string text) =>
        text.Replace("{own}", Own, StringComparison.Ordinal).Replace("{other}", Other, StringComparison.Ordinal);

    private void AssertSeenWithout(int times)
    {
        Assert.Equal(times, _seen.Count);
        Assert.All(_seen, s => Assert.DoesNotContain("s3cret", s.Fields, StringComparison.Ordinal));
    }
}
