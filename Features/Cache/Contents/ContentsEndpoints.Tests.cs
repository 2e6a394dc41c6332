using System.Net;
using System.Net.Http.Json;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Discobot.Tests.Fixtures;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;

namespace Discobot.Features.Cache.Contents;

/// <summary>What a client has brought in through the whole proxy, and the API over it.</summary>
public sealed class ContentsEndpointsTests : IAsyncLifetime, IDisposable
{
    private static readonly byte[] Layer = RandomNumberGenerator.GetBytes(3000);
    private static readonly string Digest = "sha256:" + Convert.ToHexStringLower(SHA256.HashData(Layer));

    private readonly TestAuthority _authority = new();
    private TestOrigin _origin = null!;
    private RunningProxy _proxy = null!;
    private HttpClient _api = null!;

    public async Task InitializeAsync()
    {
        _origin = await TestOrigin.StartAsync(_authority.Issue(["localhost"]), AnswerAsync);
        _proxy = await RunningProxy.StartAsync("cache: {dir: '{DIR}/cache', patterns: ['/blobs/sha256:[0-9a-f]{64}$', ^/files/], rules: [{pattern: ^/docs/, mode: revalidate}]}\napi: {token_file: '{DIR}/token', protect: none}");
        _api = _proxy.Api();
    }

    public async Task DisposeAsync()
    {
        _api.Dispose();
        await _proxy.DisposeAsync();
        await _origin.DisposeAsync();
    }

    public void Dispose() => _authority.Dispose();

    [Fact]
    public async Task Each_answer_that_is_stored_is_listed_with_its_address_rule_and_freshness()
    {
        await FetchAsync($"/v2/a/blobs/{Digest}");
        await FetchAsync("/docs/fresh");
        await FetchAsync("/docs/stale");
        await FetchAsync("/left", "application/vnd.npm.install-v1+json");

        var all = (await ListAsync("")).ToDictionary(e => e.Key);
        Assert.Equal(4, all.Count);
        Assert.Equal(("digest", "always", 3000L), Short(all[$"http://localhost:{_origin.HttpPort}/v2/a/blobs/{Digest}"]));
        Assert.Equal(("^/docs/", "fresh", 11L), Short(all[$"http://localhost:{_origin.HttpPort}/docs/fresh"]));
        Assert.InRange(all[$"http://localhost:{_origin.HttpPort}/docs/fresh"].FreshFor!.Value, 3500, 3600);
        Assert.Equal(("^/docs/", "stale", 11L), Short(all[$"http://localhost:{_origin.HttpPort}/docs/stale"]));
        Assert.Equal(("npm", "stale", 5L), Short(all[$"http://localhost:{_origin.HttpPort}/left"]));
        Assert.Equal("accept,accept-encoding", all[$"http://localhost:{_origin.HttpPort}/left"].Vary);
    }

    /// <summary>What a pattern names is kept for those who say who they are as theirs, and its host is asked each time.</summary>
    [Fact]
    public async Task What_was_answered_to_a_credential_is_listed_with_its_pattern_explained_and_dropped()
    {
        var path = $"/files/{new string('a', 64)}.bin";
        await FetchAsync(path, credential: "Basic dTpw");
        var listed = Assert.Single(await ListAsync(""));
        Assert.Equal(($"http://localhost:{_origin.HttpPort}{path}", "^/files/", "stale", true), (listed.Key, listed.Rule, listed.State, listed.Private));
        Assert.Single(JsonDocument.Parse(await _api.GetStringAsync($"/api/cache/entry?key={Uri.EscapeDataString(listed.Key)}")).RootElement.EnumerateArray());

        var cache = _proxy.Services.GetRequiredService<ContentCache>();
        var request = RecordKey.Of(listed.Key).ToRequest()!;
        var told = cache.Explain("GET", request);
        Assert.Equal("miss", told.State);
        Assert.EndsWith("what was answered to a credential is kept for that credential alone, and its host is asked each time", told.Reason, StringComparison.Ordinal);
        await cache.DropAsync(request, CancellationToken.None);
        Assert.Empty(await ListAsync(""));
        Assert.DoesNotContain("credential", cache.Explain("GET", request).Reason, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_listing_is_ordered_filtered_and_limited()
    {
        await FetchAsync($"/v2/a/blobs/{Digest}");
        await FetchAsync("/docs/a");
        await FetchAsync("/docs/longer");
        await FetchAsync("/docs/a");
        Assert.Equal(["a", "longer", "blob"], Names(await ListAsync("")));
        Assert.Equal(["blob", "longer", "a"], Names(await ListAsync("?sort=size")));
        Assert.Equal(["blob", "a", "longer"], Names(await ListAsync("?sort=age")));
        Assert.Equal(["a", "longer"], Names(await ListAsync("?limit=2")));
        Assert.Equal(["longer"], Names(await ListAsync($"?pattern={Uri.EscapeDataString("*/docs/l*")}")));
        Assert.Empty(await ListAsync("?pattern=nothing*"));
    }

    [Theory]
    [InlineData("GET", "/api/cache/entries?sort=name", "sort must be used, size or age")]
    [InlineData("GET", "/api/cache/entries?limit=0", "limit must be a number of at least 1")]
    [InlineData("GET", "/api/cache/entries?pattern=", "pattern must be one glob over the address, as in *.example.com/pool/*")]
    [InlineData("DELETE", "/api/cache/entries", "pattern must be one glob over the address, as in *.example.com/pool/*")]
    [InlineData("DELETE", "/api/cache/entries?pattern=*&dry_run=perhaps", "dry_run must be true or false")]
    [InlineData("GET", "/api/cache/entry", "the query must have one key: an address as it is listed, or the name of a file")]
    [InlineData("GET", "/api/cache/entry?key=a.test/b", "nothing is stored of a.test/b")]
    public async Task What_makes_no_sense_is_refused_with_the_reason(string method, string path, string reason)
    {
        await FetchAsync("/docs/a");
        using var answer = await _api.SendAsync(new HttpRequestMessage(new HttpMethod(method), path));
        Assert.Equal(reason.StartsWith("nothing", StringComparison.Ordinal) ? HttpStatusCode.NotFound : HttpStatusCode.BadRequest, answer.StatusCode);
        Assert.Equal(reason, (await answer.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("error").GetString());
        Assert.Single(await ListAsync(""));
    }

    [Fact]
    public async Task An_entry_is_shown_with_the_fields_of_its_origin_and_no_secret_among_them()
    {
        await FetchAsync("/docs/secret?token=s3cret&page=2");
        var listed = Assert.Single(await ListAsync(""));
        Assert.DoesNotContain("s3cret", listed.Key, StringComparison.Ordinal);
        foreach (var name in (string[])[listed.Key, listed.File])
        {
            var text = await _api.GetStringAsync($"/api/cache/entry?key={Uri.EscapeDataString(name)}");
            Assert.DoesNotContain("s3cret", text, StringComparison.Ordinal);
            var shown = Assert.Single(JsonSerializer.Deserialize(text, ContentsJson.Default.IReadOnlyListShownEntry)!);
            Assert.Equal((200, 1, listed), (shown.Status, shown.Records, shown.Entry));
            Assert.Equal("max-age=3600", shown.Fields.Single(f => f.Name == "Cache-Control").Value);
            Assert.Equal("https://cdn.test/x?…", shown.Fields.Single(f => f.Name == "Content-Location").Value);
        }
    }

    [Fact]
    public async Task What_matches_is_evicted_with_its_files_and_a_dry_run_only_counts()
    {
        await FetchAsync($"/v2/a/blobs/{Digest}");
        await FetchAsync($"/v2/b/blobs/{Digest}");
        await FetchAsync("/docs/a");
        await ListAsync("");
        Assert.Equal((1, 0, true), await EvictAsync($"*/v2/a/*&dry_run=true"));
        Assert.Equal((2, 3000, true), await EvictAsync($"*/v2/*&dry_run=true"));
        Assert.Equal(3, (await ListAsync("")).Count);

        Assert.Equal((1, 0, false), await EvictAsync("*/v2/a/*"));
        Assert.Equal((0, 0, false), await EvictAsync("*/v2/a/*"));
        Assert.Equal((1, 3000, false), await EvictAsync("*/v2/*"));
        Assert.Equal(["a"], Names(await ListAsync("")));
        Assert.Equal("MISS", await FetchAsync($"/v2/b/blobs/{Digest}"));
        Assert.Equal("HIT", await FetchAsync("/docs/a"));
    }

    [Fact]
    public async Task What_is_evicted_while_it_is_read_is_read_to_its_end()
    {
        await FetchAsync($"/v2/a/blobs/{Digest}");
        var store = _proxy.Services.GetRequiredService<CacheStore>();
        await store.CommittedAsync();
        var entry = Assert.Single(store.Index.ToArray());
        using var reading = store.FindBody(entry.Digest) is { } body ? new Held(body) : throw new InvalidOperationException("not there");
        Assert.Equal((1, 3000, false), await EvictAsync("*"));
        var read = new byte[Layer.Length];
        Assert.Equal(read.Length, reading.Body.Read(read, 0));
        Assert.Equal(Layer, read);
    }

    [Fact]
    public async Task A_second_proxy_on_the_directory_of_another_passes_everything_through_and_says_why()
    {
        var directory = _proxy.Services.GetRequiredService<Discobot.Infrastructure.Live<CacheRules>>().Value.Options.Dir;
        await using var second = await RunningProxy.StartAsync($"cache: {{dir: '{directory}', rules: [{{pattern: ^/docs/, mode: revalidate}}]}}");
        using var client = second.Client();
        foreach (var path in (string[])[$"/v2/a/blobs/{Digest}", "/docs/a", "/left"])
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, _origin.Http + path);
            request.Headers.TryAddWithoutValidation("Accept", "application/vnd.npm.install-v1+json");
            using var answer = await client.SendAsync(request);
            Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        }

        Assert.Contains($"{directory} is in use by process {Environment.ProcessId} on ", await File.ReadAllTextAsync(second.LogFile), StringComparison.Ordinal);
        Assert.Empty(await ListAsync(""));
        await FetchAsync("/docs/a");
        Assert.Single(await ListAsync(""));
    }

    [Fact]
    public async Task Reading_is_free_and_evicting_asks_for_the_token()
    {
        await using var proxy = await RunningProxy.StartAsync();
        using var api = proxy.Api();
        Assert.Equal("[]", (await api.GetStringAsync("/api/cache/entries")).Trim());
        using var refused = await api.DeleteAsync("/api/cache/entries?pattern=*");
        Assert.Equal(HttpStatusCode.Unauthorized, refused.StatusCode);
    }

    private async Task AnswerAsync(HttpContext context)
    {
        var path = context.Request.Path.Value!;
        context.Response.Headers.CacheControl = path.EndsWith("stale", StringComparison.Ordinal) ? "max-age=0" : "max-age=3600";
        context.Response.Headers.ETag = "\"1\"";
        if (path.StartsWith("/v2/", StringComparison.Ordinal))
        {
            await context.Response.Body.WriteAsync(Layer);
            return;
        }

        if (path.EndsWith("secret", StringComparison.Ordinal))
        {
            context.Response.Headers.ContentLocation = "https://cdn.test/x?X-Amz-Signature=s3cret";
            context.Response.Headers["X-Session-Token"] = "s3cret";
        }

        if (path == "/left")
            context.Response.Headers.CacheControl = default;
        await context.Response.Body.WriteAsync(Encoding.ASCII.GetBytes(path));
    }

    private async Task<string> FetchAsync(string path, string? accept = null, string? credential = null)
    {
        using var client = _proxy.Client();
        using var request = new HttpRequestMessage(HttpMethod.Get, _origin.Http + path);
        if (accept is not null)
            request.Headers.TryAddWithoutValidation("Accept", accept);
        if (credential is not null)
            request.Headers.TryAddWithoutValidation("Authorization", credential);
        using var answer = await client.SendAsync(request);
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        return answer.Headers.TryGetValues("X-Cache", out var state) ? string.Concat(state) : "";
    }

    private async Task<IReadOnlyList<ListedEntry>> ListAsync(string query)
    {
        // An entry is there once its download has ended for the cache, too, which is after it has for the client.
        await _proxy.Services.GetRequiredService<CacheStore>().CommittedAsync();
        var text = await _api.GetStringAsync("/api/cache/entries" + query);
        return [.. JsonDocument.Parse(text).RootElement.EnumerateArray().Select(e => e.Deserialize(ContentsJson.Default.ListedEntry)!)];
    }

    private async Task<(int Entries, long Bytes, bool DryRun)> EvictAsync(string pattern)
    {
        using var answer = await _api.DeleteAsync($"/api/cache/entries?pattern={pattern}");
        var evicted = (await answer.Content.ReadFromJsonAsync(ContentsJson.Default.EvictedEntries))!;
        return (evicted.Entries, evicted.Bytes, evicted.DryRun);
    }

    private static (string, string, long) Short(ListedEntry entry) => (entry.Rule, entry.State, entry.Size);

    private static string[] Names(IEnumerable<ListedEntry> entries) => [.. entries.Select(e => e.Key.Contains("/v2/", StringComparison.Ordinal) ? "blob" : e.Key.Split('/')[^1])];

    private sealed class Held(StoredBody body) : IDisposable
    {
        public StoredBody Body => body;

        public void Dispose() => body.Release();
    }
}
