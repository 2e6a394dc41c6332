using System.Security.Cryptography;
using System.Text.Json;
using Discobot.Features.Api;
using Discobot.Tests.Fixtures;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;

namespace Discobot.Features.Cache.Revalidation;

/// <summary>What <c>explain</c> says of an address whose content may change is what the next request gets.</summary>
public sealed class RuleExplanationTests : IAsyncLifetime
{
    private const string NpmDocument = "application/vnd.npm.install-v1+json";
    private RunningProxy _proxy = null!;
    private TestOrigin _origin = null!;
    private string _control = "max-age=600";
    private string _body = "what is there";

    public async Task InitializeAsync()
    {
        _proxy = await RunningProxy.StartAsync("cache: {dir: \"{DIR}/cache\", rules: [{pattern: ^/docs/}, {pattern: ^/files/, mode: immutable}]}");
        _origin = await TestOrigin.StartAsync(_proxy.Upstreams.Issue(["localhost"]), context =>
        {
            context.Response.Headers.CacheControl = _control;
            context.Response.Headers.ETag = "\"1\"";
            return context.Response.WriteAsync(context.Request.Path == "/left-pad" ? _body : "what is there");
        });
    }

    public async Task DisposeAsync()
    {
        await _origin.DisposeAsync();
        await _proxy.DisposeAsync();
    }

    [Theory]
    [InlineData("/docs/x", "cache.rules, pattern ^/docs/", 600)]
    [InlineData("/files/a.bin", "cache.rules, pattern ^/files/", 86400)]
    [InlineData("/pool/main/a/a_1.0_amd64.deb", "a package registry (apt)", 86400)]
    [InlineData("/left-pad/-/left-pad-1.3.0.tgz", "a package registry (npm)", 86400)]
    public async Task A_fresh_record_is_told_as_a_hit_with_its_age_and_what_is_left(string path, string rule, long lifetime)
    {
        var before = await ExplainAsync(path);
        Assert.Equal(("fetched", "miss"), (before.Outcome, before.Cache!.State));
        Assert.Contains(rule, before.Cache.Reason, StringComparison.Ordinal);
        Assert.Equal("MISS", await GetAsync(path));
        await StoredAsync(path);

        var changes = _proxy.Services.GetRequiredService<CacheStore>().Index.Changes;
        var after = await ExplainAsync(path);
        Assert.Equal(("cached", "hit"), (after.Outcome, after.Cache!.State));
        Assert.Equal("what is there".Length, after.Cache.Stored!.Size);
        Assert.InRange(after.Cache.Stored.Age!.Value, 0, 60);
        Assert.Equal(lifetime, after.Cache.Stored.Age + after.Cache.Stored.Ttl);
        Assert.Contains(rule, after.Cache.Reason, StringComparison.Ordinal);
        Assert.Equal(changes, _proxy.Services.GetRequiredService<CacheStore>().Index.Changes);
        Assert.Equal("HIT", await GetAsync(path));
    }

    [Theory]
    [InlineData("max-age=0")]
    [InlineData("no-cache, max-age=600")]
    public async Task A_record_that_its_host_has_to_confirm_is_told_so(string control)
    {
        _control = control;
        await GetAsync("/docs/x");
        await StoredAsync("/docs/x");
        var explained = await ExplainAsync("/docs/x");
        Assert.Equal(("revalidated", "revalidate"), (explained.Outcome, explained.Cache!.State));
        Assert.Contains("its host is asked whether it still holds", explained.Cache.Reason, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("sha512")]
    [InlineData("sha1")]
    public async Task A_file_that_its_index_has_refuted_is_no_hit(string algorithm)
    {
        const string Tarball = "/left-pad/-/left-pad-1.3.0.tgz";
        await GetAsync(Tarball);
        await StoredAsync(Tarball);
        string Document(string of) => $$"""{"name":"left-pad","versions":{"1.3.0":{"dist":{"tarball":"{{_origin.Https}}{{Tarball}}",{{Dist(algorithm, of)}} } } } }""";
        _body = Document("what is there");
        await GetAsync("/left-pad", NpmDocument);
        await Eventually.TrueAsync(async () => (await ExplainAsync("/left-pad")).Cache!.Stored is not null);
        Assert.Equal("hit", (await ExplainAsync(Tarball)).Cache!.State);

        _body = Document("another");
        _proxy.Services.GetRequiredService<CacheStore>().Evict(_proxy.Services.GetRequiredService<CacheStore>().Index.ToArray().MaxBy(e => e.Size)!);
        await GetAsync("/left-pad", NpmDocument);
        await Eventually.TrueAsync(async () => (await ExplainAsync(Tarball)).Cache!.State == "miss");
        var explained = (await ExplainAsync(Tarball)).Cache!;
        Assert.Contains("is not what its index names (" + algorithm, explained.Reason, StringComparison.Ordinal);
        Assert.Equal("what is there".Length, explained.Stored!.Size);
        Assert.Equal("MISS", await GetAsync(Tarball));
    }

    private static string Dist(string algorithm, string text)
    {
        var bytes = System.Text.Encoding.UTF8.GetBytes(text);
        return algorithm == "sha1" ? $"\"shasum\":\"{Convert.ToHexStringLower(CryptographicOperations.HashData(HashAlgorithmName.SHA1, bytes))}\"" : $"\"integrity\":\"sha512-{Convert.ToBase64String(SHA512.HashData(bytes))}\"";
    }

    [Fact]
    public async Task An_address_that_is_a_registrys_for_its_own_clients_is_told_so()
    {
        Assert.Contains("(npm) for its own clients, told by Accept or User-Agent", (await ExplainAsync("/left-pad")).Cache!.Reason, StringComparison.Ordinal);
        await GetAsync("/left-pad", NpmDocument);
        await StoredAsync("/left-pad");
        var explained = await ExplainAsync("/left-pad");
        Assert.Equal(("cached", "accept,accept-encoding"), (explained.Outcome, explained.Cache!.Stored!.Vary));
        Assert.Equal("HIT", await GetAsync("/left-pad", NpmDocument));
    }

    private Task StoredAsync(string path) => Eventually.TrueAsync(async () => (await ExplainAsync(path)).Cache!.Stored is not null);

    private async Task<string?> GetAsync(string path, string? accept = null)
    {
        using var client = _proxy.Client();
        using var request = new HttpRequestMessage(HttpMethod.Get, _origin.Https + path);
        if (accept is not null)
            request.Headers.Accept.ParseAdd(accept);
        using var response = await client.SendAsync(request);
        Assert.Equal(path == "/left-pad" ? _body : "what is there", await response.Content.ReadAsStringAsync());
        return response.Headers.TryGetValues("X-Cache", out var status) ? status.Single() : null;
    }

    private async Task<Explanation> ExplainAsync(string path)
    {
        using var api = _proxy.Api();
        return JsonSerializer.Deserialize(await api.GetStringAsync($"/api/explain?url={Uri.EscapeDataString(_origin.Https + path)}"), ApiJson.Default.Explanation)!;
    }
}
