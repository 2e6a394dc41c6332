using System.Net;
using System.Security.Cryptography;
using System.Text.Json;
using Discobot.Features.Cache;
using Discobot.Tests.Fixtures;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;

namespace Discobot.Features.Api;

public sealed class ExplainEndpointTests : IAsyncLifetime
{
    private const string Config = """
        allowlist:
          enabled: true
          domains: [{host: "*.example.com", methods: [GET]}, "pinned.example", localhost]
          ips: ["127.0.0.0/8", "198.51.100.0/24"]
        headers:
          "*.example.com":
            set: {Authorization: "Bearer s3cret"}
            append: {X-Team: blue}
            conditions: [{header: X-Environment, equals: s3cret-too}]
        """;

    private static readonly byte[] Blob = "a layer"u8.ToArray();
    private static readonly string BlobPath = $"/v2/a/blobs/sha256:{Convert.ToHexStringLower(SHA256.HashData(Blob))}";

    private RunningProxy _proxy = null!;
    private TestOrigin _origin = null!;
    private int _asked;

    public async Task InitializeAsync()
    {
        _proxy = await RunningProxy.StartAsync(Config, tls: ", passthrough: [pinned.example]");
        _origin = await TestOrigin.StartAsync(_proxy.Upstreams.Issue(["localhost"]), context =>
        {
            Interlocked.Increment(ref _asked);
            return context.Response.Body.WriteAsync(Blob).AsTask();
        });
    }

    public async Task DisposeAsync()
    {
        await _origin.DisposeAsync();
        await _proxy.DisposeAsync();
    }

    [Theory]
    [InlineData("https://a.example.com/x", "GET", "forwarded", "inspected", "{host: \"*.example.com\", methods: [GET]}")]
    [InlineData("http://a.example.com/x", "GET", "forwarded", "plain", "{host: \"*.example.com\", methods: [GET]}")]
    [InlineData("https://a.example.com/x", "DELETE", "blocked", "inspected", "{host: \"*.example.com\", methods: [GET]}")]
    [InlineData("https://example.org/", "GET", "blocked", "inspected", "default")]
    [InlineData("https://PINNED.example./x", "PUT", "tunnelled", "passthrough", "\"pinned.example\"")]
    [InlineData("https://198.51.100.7/", "GET", "forwarded", "inspected", "198.51.100.0/24")]
    [InlineData("http://0xc6336407/", "GET", "forwarded", "plain", "198.51.100.0/24")]
    [InlineData("http://192.0.2.1/", "GET", "blocked", "plain", "default")]
    [InlineData("https://a.example.com/v2/a/manifests/sha256:0000000000000000000000000000000000000000000000000000000000000000", "GET", "fetched", "inspected",
        "{host: \"*.example.com\", methods: [GET]}")]
    public async Task Each_stage_says_what_it_would_do(string url, string method, string outcome, string interception, string rule)
    {
        var explained = await ExplainAsync(url, method);
        Assert.Equal(outcome, explained.Outcome);
        Assert.Equal(interception, explained.Interception);
        Assert.Equal(rule, explained.Allowlist.Rule);
        Assert.Equal("direct", explained.Upstream);
        Assert.Equal(interception == "passthrough", explained.Cache is null);
    }

    [Fact]
    public async Task A_refusal_names_the_entry_that_would_allow_it()
    {
        var explained = await ExplainAsync("https://Example.ORG:8443/a?b#c");
        Assert.Equal(("https://example.org:8443/a", "example.org"), (explained.Url, explained.Host));
        Assert.Equal(
            new AllowlistExplanation("enforce", false, "default",
                "example.org is not in allowlist.domains; the entry \"example.org\" there would allow it."),
            explained.Allowlist);
        Assert.Equal("resolved and judged when dialled", explained.Address);
    }

    [Fact]
    public async Task Headers_are_told_by_name_and_their_values_nowhere()
    {
        var text = await GetAsync("/api/explain?url=https://a.example.com/&method=POST");
        Assert.DoesNotContain("s3cret", text, StringComparison.Ordinal);
        Assert.Contains(
            """ "headers":{"pattern":"*.example.com","set":["Authorization"],"append":["X-Team"],"conditions":["X-Environment"]}""".Trim(), text, StringComparison.Ordinal);
        Assert.Contains("allow_plaintext", (await ExplainAsync("http://a.example.com/")).Headers!.Withheld, StringComparison.Ordinal);
        Assert.Contains("TRACE", (await ExplainAsync("https://a.example.com/", "TRACE")).Headers!.Withheld, StringComparison.Ordinal);
        Assert.Null((await ExplainAsync("https://localhost/")).Headers);
    }

    [Fact]
    public async Task What_is_stored_is_told_without_touching_it_or_asking_anybody()
    {
        using var client = _proxy.Client();
        Assert.Equal("fetched", (await ExplainAsync(_origin.Https + BlobPath)).Outcome);
        Assert.Equal(0, _asked);
        Assert.Equal(Blob, await client.GetByteArrayAsync(_origin.Https + BlobPath));
        var store = _proxy.Services.GetRequiredService<CacheStore>();
        await Eventually.TrueAsync(() => Task.FromResult(store.Index.Count == 1));
        var (changes, statistics) = (store.Index.Changes, _proxy.Services.GetRequiredService<ContentCache>().Statistics());

        var explained = await ExplainAsync(_origin.Https + BlobPath);
        Assert.Equal(("cached", "hit"), (explained.Outcome, explained.Cache!.State));
        Assert.Equal($"localhost:{_origin.HttpsPort}{BlobPath}", explained.Cache.Key);
        Assert.Equal((Blob.Length, $"localhost:{_origin.HttpsPort}"), (explained.Cache.Stored!.Size, explained.Cache.Stored.Host));
        Assert.Equal(BlobPath[(BlobPath.IndexOf("sha256", StringComparison.Ordinal))..], explained.Cache.Stored.Digest);
        Assert.InRange(explained.Cache.Stored.StoredAt, DateTimeOffset.UtcNow.AddMinutes(-5), DateTimeOffset.UtcNow);
        // Another host that names the same digest, and what the cache has nothing to do with.
        var elsewhere = await ExplainAsync("https://b.example.com" + BlobPath);
        Assert.Equal("fetched", elsewhere.Outcome);
        Assert.Contains("once the host has said", elsewhere.Cache!.Reason, StringComparison.Ordinal);
        Assert.Equal("bypass", (await ExplainAsync(_origin.Https + BlobPath, "POST")).Cache!.State);
        Assert.Equal("bypass", (await ExplainAsync(_origin.Https + "/v2/a/manifests/latest")).Cache!.State);

        Assert.Equal(1, _asked);
        Assert.Equal(changes, store.Index.Changes);
        Assert.Equal(statistics, _proxy.Services.GetRequiredService<ContentCache>().Statistics());
    }

    [Fact]
    public async Task The_proxy_itself_is_a_loop()
    {
        Assert.Equal("loop", (await ExplainAsync($"http://127.0.0.1:{_proxy.Port}/")).Outcome);
        Assert.Equal("loop", (await ExplainAsync($"http://127.0.0.3:{_proxy.ApiPort}/health")).Outcome);
    }

    [Fact]
    public async Task A_parent_proxy_is_named_without_its_credentials()
    {
        await using var proxy = await RunningProxy.StartAsync(proxySection: ", upstream: \"http://user:s3cret@192.0.2.1:3128\"");
        using var api = proxy.Api();
        var text = await api.GetStringAsync("/api/explain?url=https://example.org/");
        Assert.EndsWith("\"upstream\":\"http://192.0.2.1:3128\"}\n", text, StringComparison.Ordinal);
        Assert.Contains("\"address\":\"resolved by the parent proxy\"", text, StringComparison.Ordinal);
        Assert.DoesNotContain("s3cret", text, StringComparison.Ordinal);
        Assert.Contains("\"upstream\":\"direct\"", await api.GetStringAsync("/api/explain?url=http://localhost/"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Questions_are_neither_counted_nor_learned()
    {
        await ExplainAsync("https://example.org/");
        Assert.DoesNotContain("discobot_blocked_total{", await GetAsync("/metrics"), StringComparison.Ordinal);
        await using var learning = await RunningProxy.StartAsync("allowlist: {mode: learn}");
        using var api = learning.Api();
        Assert.Contains("\"mode\":\"learn\"", await api.GetStringAsync("/api/explain?url=https://example.org/"), StringComparison.Ordinal);
        Assert.DoesNotContain("example.org", await api.GetStringAsync("/api/allowlist/learned"), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("", "the query must have one url")]
    [InlineData("?url=", "the query must have one url")]
    [InlineData("?url=http://a.b/&url=http://a.c/", "the query must have one url")]
    [InlineData("?url=ftp://a.b/", "url must be http://")]
    [InlineData("?url=example.com", "url must be http://")]
    [InlineData("?url=http://", "url must be http://")]
    [InlineData("?url=http://user:pass@a.b/", "without user and password")]
    [InlineData("?url=http://a.b:99999/", "url must be http://")]
    [InlineData("?url=http://a..b/", "url must be http://")]
    [InlineData("?url=http://a.b/%20x", "percent-encoded")]
    [InlineData("?url=http://a.b/%0d%0aX:y", "percent-encoded")]
    [InlineData("?url=http://a.b/%C3%BC", "percent-encoded")]
    [InlineData("?url=http://a.b/&method=", "one HTTP method")]
    [InlineData("?url=http://a.b/&method=GET%20/", "one HTTP method")]
    [InlineData("?url=http://a.b/&method=GET&method=PUT", "one HTTP method")]
    public async Task What_cannot_be_asked_is_400_and_says_how_to_ask(string query, string reason)
    {
        using var api = _proxy.Api();
        using var response = await api.GetAsync("/api/explain" + query);
        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Contains(reason, JsonDocument.Parse(await response.Content.ReadAsStringAsync()).RootElement.GetProperty("error").GetString(), StringComparison.Ordinal);
    }

    private async Task<Explanation> ExplainAsync(string url, string method = "GET") => JsonSerializer.Deserialize(
        await GetAsync($"/api/explain?url={Uri.EscapeDataString(url)}&method={method}"), ApiJson.Default.Explanation)!;

    private async Task<string> GetAsync(string path)
    {
        using var api = _proxy.Api();
        return await api.GetStringAsync(path);
    }
}
