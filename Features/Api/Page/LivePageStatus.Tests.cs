using System.Net;
using System.Net.Http.Headers;
using Discobot.Tests.Fixtures;
using Microsoft.AspNetCore.Http;
using Microsoft.Playwright;
using static Microsoft.Playwright.Assertions;

namespace Discobot.Features.Api.Page;

/// <summary>What others do with the proxy, as the page shows it: what they bring into the cache, and what doctor has found.</summary>
[Collection(nameof(Alone))]
public sealed class LivePageStatusTests(Chromium chromium) : IClassFixture<Chromium>, IAsyncLifetime
{
    private readonly TaskCompletionSource _goOn = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private RunningProxy _proxy = null!;
    private TestOrigin _origin = null!;

    public async Task InitializeAsync()
    {
        _proxy = await RunningProxy.StartAsync("""
            audit: {enabled: false}
            cache: {dir: "{DIR}/cache", rules: [{host: localhost, pattern: "^/file", mode: immutable}]}
            """);
        _origin = await TestOrigin.StartAsync(_proxy.Upstreams.Issue(["localhost"]), async context =>
        {
            if (context.Request.Path.Value!.EndsWith("absent", StringComparison.Ordinal))
            {
                context.Response.StatusCode = 404;
                return;
            }

            context.Response.ContentLength = 12;
            await context.Response.WriteAsync("twelve");
            await _goOn.Task;
            await context.Response.WriteAsync(" bytes");
        });
    }

    public async Task DisposeAsync()
    {
        await _origin.DisposeAsync();
        await _proxy.DisposeAsync();
    }

    [Fact]
    public async Task How_far_warming_is_stands_in_the_cache_tab()
    {
        var page = await OpenAsync("cache");
        var panel = page.Locator("#cache");
        await Expect(panel).ToContainTextAsync("Nothing was brought in since the start");
        using var api = _proxy.Api();
        var warming = SendAsync(api, HttpMethod.Post, "/api/cache/warm", $$"""
            {"items": [{"name": "<img src=x>slow", "files": [{"url": "{{_origin.Https}}/file"}]}, {"name": "lost", "files": [{"url": "{{_origin.Https}}/file/absent"}]}]}
            """);
        await Expect(panel).ToContainTextAsync("Under way: 1 of 2, 0 stored, 0 here already, 1 failed");
        await Expect(panel.Locator("progress")).ToHaveJSPropertyAsync("value", 1);
        await Expect(panel.Locator("tr", new() { HasText = "<img src=x>slow" })).ToContainTextAsync("running");
        await Expect(panel.Locator("tr", new() { HasText = "lost" })).ToContainTextAsync("answered 404");

        _goOn.SetResult();
        using (var answer = await warming)
            Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        await Expect(panel).ToContainTextAsync("Over: 2 of 2, 1 stored, 0 here already, 1 failed; 12 B");
        await Expect(panel.Locator("progress")).ToBeHiddenAsync();
        await Expect(panel.Locator("tr", new() { HasText = "slow" })).ToHaveCountAsync(0);
    }

    [Fact]
    public async Task What_doctor_has_found_stands_in_the_health_tab()
    {
        const string Findings = """
            [{"area": "trust", "name": "store", "result": "ok", "detail": "the authority is trusted", "fix": null},
             {"area": "client", "name": "curl", "result": "failed", "detail": "goes past <b>the proxy</b>", "fix": "export HTTPS_PROXY"}]
            """;
        var page = await OpenAsync("health");
        var panel = page.Locator("#health");
        await Expect(panel).ToContainTextAsync("Not run since the proxy started");
        using var api = _proxy.Api();
        using (var refused = await SendAsync(api, HttpMethod.Put, "/api/doctor", Findings, token: "not-the-token-of-this-proxy"))
            Assert.Equal(HttpStatusCode.Unauthorized, refused.StatusCode);
        foreach (var wrong in (string[])["{}", "[{}]", "[null]", "nothing", "[{\"area\":\"a\",\"name\":\"b\",\"result\":\"fine\",\"detail\":\"c\"}]", $"[{new string(' ', 70_000)}]"])
        {
            using var answer = await SendAsync(api, HttpMethod.Put, "/api/doctor", wrong);
            Assert.Equal(HttpStatusCode.BadRequest, answer.StatusCode);
        }

        using (var left = await SendAsync(api, HttpMethod.Put, "/api/doctor", Findings))
            Assert.Equal(HttpStatusCode.OK, left.StatusCode);
        await Expect(panel).ToContainTextAsync("1 of 2 checks failed.");
        await Expect(panel.Locator("tr.failed")).ToHaveTextAsync("failedclientcurlgoes past <b>the proxy</b>; fix: export HTTPS_PROXY");
        await Expect(panel.Locator("tr", new() { HasText = "trusted" })).ToContainTextAsync("ok");
        await page.ScreenshotAsync(new() { Path = Path.Combine(Checkout.Top(), "artifacts", "page", "health-doctor.png") });
    }

    private async Task<HttpResponseMessage> SendAsync(HttpClient api, HttpMethod method, string path, string body, string? token = null)
    {
        using var request = new HttpRequestMessage(method, path) { Content = new StringContent(body, new MediaTypeHeaderValue("application/json")) };
        request.Headers.Authorization = new("Bearer", token ?? _proxy.Token);
        return await api.SendAsync(request);
    }

    private async Task<IPage> OpenAsync(string tab)
    {
        var page = await chromium.OpenAsync();
        await Chromium.VisitAsync(page, $"http://localhost:{_proxy.ApiPort}/#{tab}");
        await Expect(page.Locator("#connection")).ToHaveTextAsync("live");
        return page;
    }
}
