using System.Collections.Concurrent;
using System.Net;
using System.Net.Http.Headers;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Discobot.Features.Audit;
using Discobot.Features.Configuration;
using Discobot.Infrastructure.Config;
using Discobot.Tests.Fixtures;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;

namespace Discobot.Features.Allowlist.Asking;

/// <summary>A receiver of webhooks that is told of questions, and may answer them.</summary>
public sealed class ApprovalWebhookTests : IAsyncLifetime
{
    private const string Secret = "0123456789abcdef0123456789abcdef";
    private readonly ConcurrentQueue<(string Id, string Time, string Signature, string Body)> _posts = new();
    private readonly string _directory = Directory.CreateTempSubdirectory("discobot-test-").FullName;
    private readonly TaskCompletionSource _silence = new();
    private TestOrigin _receiver = null!;
    private TestOrigin _origin = null!;
    private RunningProxy _proxy = null!;
    private (int Status, string Body) _answer = (204, "");
    private bool _isSilent;

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync()
    {
        _silence.TrySetResult();
        if (_proxy is not null)
        {
            await _proxy.DisposeAsync();
            await _receiver.DisposeAsync();
            await _origin.DisposeAsync();
        }

        Directory.Delete(_directory, recursive: true);
    }

    [Theory]
    [InlineData(Secret)]
    [InlineData("whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=")]
    public async Task A_question_is_posted_once_and_signed_as_Standard_Webhooks_has_it(string secret)
    {
        var proxy = await StartAsync("http", secret);
        using var client = proxy.Client();
        var waiting = new[] { client.GetAsync($"{_origin.Http}/path?value=hidden"), client.GetAsync($"{_origin.Http}/other") };
        await Eventually.TrueAsync(() => Task.FromResult(!_posts.IsEmpty));
        var post = _posts.First();
        var data = JsonElement.Parse(post.Body).GetProperty("data");
        Assert.Equal(("approval.asked", "localhost", "GET"), (JsonElement.Parse(post.Body).GetProperty("type").GetString(), data.GetProperty("host").GetString(), data.GetProperty("method").GetString()));
        Assert.DoesNotContain("hidden", post.Body, StringComparison.Ordinal);
        Assert.InRange(long.Parse(post.Time, null), DateTimeOffset.UtcNow.AddMinutes(-2).ToUnixTimeSeconds(), DateTimeOffset.UtcNow.ToUnixTimeSeconds() + 1);
        var signed = HMACSHA256.HashData(Encoding.UTF8.GetBytes(Secret), Encoding.UTF8.GetBytes($"{post.Id}.{post.Time}.{post.Body}"));
        Assert.Equal($"v1,{Convert.ToBase64String(signed)}", post.Signature);

        // Who was told answers as anybody with the token does.
        Assert.Equal(HttpStatusCode.OK, await AnswerAsync(data.GetProperty("id").GetString()!, "session"));
        Assert.All(await Task.WhenAll(waiting), answer => Assert.Equal(HttpStatusCode.OK, answer.StatusCode));
        Assert.Single(_posts);
        Assert.DoesNotContain(proxy.Services.GetRequiredService<RecentFlows>().Kept(), flow => flow.Port == _receiver.HttpPort);
    }

    [Theory]
    [InlineData("""{"decision": "session", "by": "bot"}""", HttpStatusCode.OK, "granted for the session by bot (")]
    [InlineData("""{"decision": "deny"}""", HttpStatusCode.Forbidden, "refused for the session by the webhook (")]
    public async Task What_it_answers_over_https_decides(string body, HttpStatusCode status, string rule)
    {
        _answer = (200, body);
        var proxy = await StartAsync("https");
        using var client = proxy.Client();
        using var answer = await client.GetAsync(_origin.Http);
        Assert.Equal(status, answer.StatusCode);
        await Eventually.TrueAsync(() => Task.FromResult(proxy.Services.GetRequiredService<RecentFlows>().Kept().Any(f => f.Entry == "approval" && f.Rule!.StartsWith(rule, StringComparison.Ordinal))));
    }

    [Theory]
    [InlineData("http", """{"decision": "session"}""")]
    [InlineData("https", "{}")]
    [InlineData("https", """{"decision": "sesion"}""")]
    [InlineData("https", "fine")]
    public async Task An_answer_by_http_or_without_a_decision_leaves_the_question_open(string scheme, string body)
    {
        _answer = (200, body);
        var proxy = await StartAsync(scheme);
        using var client = proxy.Client();
        var waiting = client.GetAsync(_origin.Http);
        await Eventually.TrueAsync(() => Task.FromResult(!_posts.IsEmpty));
        var id = JsonElement.Parse(_posts.First().Body).GetProperty("data").GetProperty("id").GetString()!;
        Assert.Equal(HttpStatusCode.OK, await AnswerAsync(id, "deny"));
        Assert.Equal(HttpStatusCode.Forbidden, (await waiting).StatusCode);
        Assert.Contains("by the API", Assert.Single(proxy.Services.GetRequiredService<Approvals>().Grants()).Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_receiver_that_is_silent_holds_nothing_up()
    {
        _isSilent = true;
        var proxy = await StartAsync("https");
        using var client = proxy.Client();
        var waiting = client.GetAsync(_origin.Http);
        await Eventually.TrueAsync(() => Task.FromResult(!_posts.IsEmpty));
        var id = JsonElement.Parse(_posts.First().Body).GetProperty("data").GetProperty("id").GetString()!;
        Assert.Equal(HttpStatusCode.OK, await AnswerAsync(id, "session"));
        Assert.Equal(HttpStatusCode.OK, (await waiting).StatusCode);
    }

    [Fact]
    public async Task Whoever_cannot_prove_that_he_is_the_receiver_is_told_nothing_and_the_log_says_so_without_the_address()
    {
        using var stranger = new TestAuthority();
        var proxy = await StartAsync("https", authority: stranger);
        using var client = proxy.Client();
        var waiting = client.GetAsync(_origin.Http);
        await Eventually.TrueAsync(async () => (await File.ReadAllTextAsync(proxy.LogFile)).Contains("webhook not sent", StringComparison.Ordinal));
        Assert.Empty(_posts);
        Assert.Equal(HttpStatusCode.OK, await AnswerAsync(Assert.Single(proxy.Services.GetRequiredService<Approvals>().Questions()).Id, "session"));
        using var answer = await waiting;
        var log = await File.ReadAllTextAsync(proxy.LogFile);
        Assert.DoesNotContain(Secret, log, StringComparison.Ordinal);
        Assert.DoesNotContain("/hook", log, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("ask: {webhook: \"ftp://a.example/\", webhook_secret: \"0123456789abcdef01234567\"}", "ask.webhook: must be an http or https URL")]
    [InlineData("ask: {webhook: \"https://a.example/\"}", "ask.webhook: needs ask.webhook_secret")]
    [InlineData("ask: {webhook: \"https://a.example/\", webhook_secret: short}", "ask.webhook_secret: must have at least 24 bytes")]
    [InlineData("ask: {webhook: \"https://a.example/\", webhook_secret: whsec_short}", "ask.webhook_secret: must have at least 24 bytes")]
    public void What_cannot_be_used_is_a_mistake(string yaml, string told)
    {
        var settings = SettingsSources.Of(null, new Dictionary<string, string>()).Load(ConfigDocument.Parse(yaml, "a.yaml"));
        Assert.Contains(told, settings.ErrorText(), StringComparison.Ordinal);
        Assert.DoesNotContain("a.example", settings.ErrorText(), StringComparison.Ordinal);
    }

    // The address is read when it is used, so that the receiver can have a certificate that the proxy trusts.
    private async Task<RunningProxy> StartAsync(string scheme, string secret = Secret, TestAuthority? authority = null)
    {
        var file = Path.Combine(_directory, "url");
        _proxy = await RunningProxy.StartAsync($"allowlist: {{enabled: true, mode: ask, allow_private: true}}\nask: {{webhook: \"file:{file}\", webhook_secret: \"{secret}\"}}");
        _origin = await TestOrigin.StartAsync(_proxy.Upstreams.Issue(["localhost"]), context => context.Response.WriteAsync("reached"));
        _receiver = await TestOrigin.StartAsync((authority ?? _proxy.Upstreams).Issue(["localhost"]), ReceiveAsync);
        await File.WriteAllTextAsync(file, $"{(scheme == "http" ? _receiver.Http : _receiver.Https)}/hook");
        return _proxy;
    }

    private async Task ReceiveAsync(HttpContext context)
    {
        using var reader = new StreamReader(context.Request.Body);
        var fields = context.Request.Headers;
        _posts.Enqueue((fields["webhook-id"].ToString(), fields["webhook-timestamp"].ToString(), fields["webhook-signature"].ToString(), await reader.ReadToEndAsync()));
        if (_isSilent)
            await _silence.Task;
        context.Response.StatusCode = _answer.Status;
        if (_answer.Body.Length == 0)
            return;
        context.Response.ContentType = "application/json";
        await context.Response.WriteAsync(_answer.Body);
    }

    private async Task<HttpStatusCode> AnswerAsync(string id, string decision)
    {
        using var api = _proxy.Api();
        using var request = new HttpRequestMessage(HttpMethod.Post, $"/api/approvals/{id}") { Headers = { Authorization = new AuthenticationHeaderValue("Bearer", _proxy.Token) } };
        request.Content = new StringContent($$"""{"decision": "{{decision}}"}""", Encoding.UTF8, "application/json");
        using var answer = await api.SendAsync(request);
        return answer.StatusCode;
    }
}
