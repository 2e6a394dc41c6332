using System.CommandLine;
using System.Net;
using System.Net.Http.Json;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Discobot.Features.CommandLine.Commands;
using Discobot.Tests.Fixtures;
using Microsoft.Extensions.DependencyInjection;

namespace Discobot.Features.Cache.Warming;

/// <summary>The command against the whole proxy, a registry behind it, and then the registry gone.</summary>
public sealed class CacheWarmerTests : IAsyncLifetime
{
    private WarmOrigin _origin = null!;
    private RunningProxy _proxy = null!;

    public async Task InitializeAsync()
    {
        _origin = await WarmOrigin.StartAsync();
        _proxy = await RunningProxy.StartAsync("api: {token_file: '{DIR}/token', protect: none}");
    }

    public async Task DisposeAsync()
    {
        await _proxy.DisposeAsync();
        await _origin.DisposeAsync();
    }

    [Theory]
    [InlineData("", false)]
    [InlineData("auth", false)]
    [InlineData("redirect", false)]
    [InlineData("busy", false)]
    [InlineData("", true)]
    public async Task All_that_a_pull_asks_for_is_there_when_the_registry_is_gone(string behaviour, bool byDigest)
    {
        _origin.Behaviour = behaviour;
        var image = byDigest ? $"{_origin.Authority}/team/app@{_origin.IndexDigest}" : $"{_origin.Authority}/team/app:v1";
        var (code, output, errors) = await RunAsync(image, "--platform", "linux/arm64");
        Assert.True(code == 0, output + errors);
        Assert.Matches($@"^stored .*  {image}\n1 named: 1 stored \(.*\), 0 here already, 0 failed\n$", output);
        Assert.DoesNotContain(_origin.Asked, path => path.Contains(WarmOrigin.BlobOf("amd64"), StringComparison.Ordinal));

        await _origin.DisposeAsync();
        using var client = _proxy.Client();
        foreach (var path in (string[])[$"manifests/{_origin.IndexDigest}", $"manifests/{WarmOrigin.ManifestOf("arm64")}", $"blobs/{WarmOrigin.BlobOf("arm64")}", $"blobs/{WarmOrigin.ConfigOf("arm64")}"])
        {
            using var answer = await client.GetAsync($"http://{_origin.Authority}/v2/team/app/{path}");
            Assert.Equal((HttpStatusCode.OK, "HIT"), (answer.StatusCode, string.Concat(answer.Headers.GetValues("X-Cache"))));
        }
    }

    [Fact]
    public async Task What_is_there_is_not_fetched_again_and_a_second_try_brings_only_what_is_missing()
    {
        var image = $"{_origin.Authority}/team/app:v1";
        _origin.Missing = WarmOrigin.BlobOf("amd64");
        var (code, output, errors) = await RunAsync(image, "--platform", "linux/amd64");
        Assert.Equal((1, $"failed: {image}: http://{_origin.Authority}/v2/team/app/blobs/{WarmOrigin.BlobOf("amd64")} answered 404\n"), (code, errors));
        Assert.Contains("0 stored", output, StringComparison.Ordinal);

        _origin.Missing = "none";
        Assert.Equal(0, (await RunAsync(image, "--platform", "linux/amd64")).Code);
        Assert.Single(_origin.Asked, path => path.Contains(WarmOrigin.ConfigOf("amd64"), StringComparison.Ordinal));
        var again = await RunAsync($"{_origin.Authority}/team/app@{_origin.IndexDigest}", "--platform", "linux/amd64");
        Assert.StartsWith("here ", again.Output, StringComparison.Ordinal);
        Assert.Single(_origin.Asked, path => path.Contains($"blobs/{WarmOrigin.BlobOf("amd64")}", StringComparison.Ordinal) && !path.StartsWith("404", StringComparison.Ordinal));
    }

    [Fact]
    public async Task What_cannot_be_had_is_told_with_the_reason_and_the_rest_comes_in()
    {
        var (code, output, errors) = await RunAsync($"{_origin.Authority}/team/app:v1", $"{_origin.Authority}/team/none:v1", "No Image", "--platform", "linux/s390x");
        Assert.Equal(1, code);
        Assert.Contains($"failed: {_origin.Authority}/team/app:v1: there is no linux/s390x of it, only linux/amd64, linux/arm64/v8\n", errors, StringComparison.Ordinal);
        Assert.Contains($"/v2/team/none/manifests/v1 answered 404\n", errors, StringComparison.Ordinal);
        Assert.Contains("failed: No Image: that is no image's name\n", errors, StringComparison.Ordinal);
        Assert.EndsWith("3 named: 0 stored (0 bytes), 0 here already, 3 failed\n", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_refusal_of_the_allowlist_is_told_as_one()
    {
        await using var closed = await RunningProxy.StartAsync("api: {token_file: '{DIR}/token', protect: none}\nallowlist: {enabled: true, domains: [other.test]}");
        var (code, _, errors) = await RunAsync(closed, $"{_origin.Authority}/team/app:v1");
        Assert.Equal(1, code);
        Assert.Contains("the proxy refused http://", errors, StringComparison.Ordinal);
        Assert.Empty(_origin.Asked);
    }

    [Fact]
    public async Task What_a_lockfile_of_npm_names_is_there_for_every_client_when_the_registry_is_gone()
    {
        var file = _origin.Write("package-lock.json", $$"""{"lockfileVersion":3,"packages":{"node_modules/left":{"version":"1.0.0","resolved":"{{_origin.Http}}/left/-/left-1.0.0.tgz"},"node_modules/gone":{"version":"1.0.0","resolved":"{{_origin.Http}}/gone/-/gone-1.0.0.tgz"} } }""");
        var (code, output, errors) = await RunAsync("--file", file);
        Assert.Equal((1, $"failed: gone@1.0.0: {_origin.Http}/gone/-/gone-1.0.0.tgz answered 404\n"), (code, errors));
        Assert.Contains("  left@1.0.0\n", output, StringComparison.Ordinal);
        await _origin.DisposeAsync();
        using var client = _proxy.Client();
        using var request = new HttpRequestMessage(HttpMethod.Get, $"{_origin.Http}/left/-/left-1.0.0.tgz");
        request.Headers.TryAddWithoutValidation("Accept", "application/octet-stream");
        request.Headers.TryAddWithoutValidation("Accept-Encoding", "gzip, br");
        using var answer = await client.SendAsync(request);
        Assert.Equal("tarball", await answer.Content.ReadAsStringAsync());
    }

    [Theory]
    [InlineData("")]
    [InlineData("gzip")]
    public async Task What_is_not_what_the_lockfile_says_fails_with_both_hashes_and_is_not_kept(string coding)
    {
        _origin.Coding = coding;
        var path = "/left/-/left-1.0.0.tgz";
        string Lockfile(string bytes) => _origin.Write("package-lock.json",
            $$"""{"lockfileVersion":3,"packages":{"node_modules/left":{"version":"1.0.0","resolved":"{{_origin.Http + path}}","integrity":"{{Sha512(bytes)}}"} } }""");
        var meant = Lockfile("another");
        var (code, output, errors) = await RunAsync("--file", Lockfile("another"));
        Assert.Equal((1, $"failed: left@1.0.0: {_origin.Http + path} has {Sha512("tarball")}, but {Sha512("another")} is meant\n"), (code, errors));
        Assert.EndsWith("1 named: 0 stored (0 bytes), 0 here already, 1 failed\n", output, StringComparison.Ordinal);
        Assert.DoesNotContain(_proxy.Services.GetRequiredService<CacheStore>().Index.ToArray(), e => e.Size > 0);

        Assert.Equal(0, (await RunAsync("--file", Lockfile("tarball"))).Code);
        Assert.StartsWith("here ", (await RunAsync("--file", Lockfile("tarball"))).Output, StringComparison.Ordinal);
        Assert.Equal(2, _origin.Asked.Count(p => p == path));

        // What is here is compared as well, and asked for again: its server may have what is meant by now.
        _origin.Tarball = "another";
        (code, output, errors) = await RunAsync("--file", Lockfile("another"));
        Assert.True(code == 0 && output.StartsWith("stored ", StringComparison.Ordinal), output + errors);
        Assert.Equal(3, _origin.Asked.Count(p => p == path));
    }

    [Fact]
    public async Task What_go_sum_says_of_a_zip_is_compared_with_the_files_in_it()
    {
        static string Line(string text, string name) => $"{Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)))}  {name}\n";
        // By their names, whatever their order in the zip.
        var right = "h1:" + Convert.ToBase64String(SHA256.HashData(Encoding.UTF8.GetBytes(Line("package x", "x@v1.0.0/Z.go") + Line("module x", "x@v1.0.0/go.mod"))));
        var wrong = "h1:" + Convert.ToBase64String(SHA256.HashData("another"u8));
        Assert.Equal(("failed", $"{_origin.Http}/x/@v/v1.0.0.zip has {right}, but {wrong} is meant"), await WarmAsync("/x/@v/v1.0.0.zip", wrong));
        Assert.Empty(_proxy.Services.GetRequiredService<CacheStore>().Index.ToArray());
        Assert.Equal(("stored", null), await WarmAsync("/x/@v/v1.0.0.zip", right));
        Assert.Equal(("here", null), await WarmAsync("/x/@v/v1.0.0.zip", right));

        Assert.Equal(("failed", $"{_origin.Http}/y/@v/v1.0.0.zip has something that cannot be unpacked, but {right} is meant"), await WarmAsync("/y/@v/v1.0.0.zip", right));
        Assert.Single(_proxy.Services.GetRequiredService<CacheStore>().Index.ToArray());
    }

    private async Task<(string? State, string? Reason)> WarmAsync(string path, string integrity)
    {
        using var api = _proxy.Api();
        using var answer = await api.PostAsync("/api/cache/warm", new StringContent(
            $$"""{"items":[{"name":"x","files":[{"url":"{{_origin.Http}}{{path}}","integrity":"{{integrity}}"}]}]}""", Encoding.UTF8, "application/json"));
        var last = (await answer.Content.ReadFromJsonAsync<JsonElement>()).EnumerateArray().Last();
        return (last.GetProperty("state").GetString(), last.TryGetProperty("reason", out var reason) ? reason.GetString() : null);
    }

    [Theory]
    [InlineData("json")]
    [InlineData("html")]
    public async Task What_the_index_of_Python_says_of_a_file_is_compared_too(string form)
    {
        _origin.Behaviour = form;
        _origin.Wheel = "damaged";
        var (code, _, errors) = await RunAsync("-f", _origin.Write("requirements.txt", $"-i {_origin.Http}/simple\nFoo==1.0\n"), "--platform", "linux/amd64");
        Assert.Equal(1, code);
        Assert.Contains("/packages/foo-1.0-py3-none-any.whl has sha256-", errors, StringComparison.Ordinal);
        using var client = _proxy.Client();
        using var answer = await client.GetAsync($"{_origin.Http}/packages/foo-1.0-py3-none-any.whl");
        Assert.Equal("MISS", string.Concat(answer.Headers.GetValues("X-Cache")));
    }

    [Theory]
    [InlineData("json")]
    [InlineData("html")]
    public async Task What_a_requirements_file_pins_is_there_for_pip_when_the_index_is_gone(string form)
    {
        _origin.Behaviour = form;
        var file = _origin.Write("requirements.txt", $"-i {_origin.Http}/simple\nFoo==1.0 --hash=sha256:{_origin.WheelHash}\nloose\n");
        var (code, output, errors) = await RunAsync("-f", file, "--platform", "linux/amd64");
        Assert.Equal((1, ""), (code, errors.Replace("failed: loose: it names no file: only what is pinned to one version (name==version) can be fetched\n", "", StringComparison.Ordinal)));
        Assert.Equal("failed: loose: it names no file: only what is pinned to one version (name==version) can be fetched\n", errors);
        Assert.Contains("  foo==1.0\n", output, StringComparison.Ordinal);
        await _origin.DisposeAsync();
        using var client = _proxy.Client();
        foreach (var (path, accept, encoding) in ((string, string, string)[])[
            ("/simple/foo/", "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html; q=0.1, text/html; q=0.01", "gzip, deflate"),
            ("/packages/foo-1.0-py3-none-any.whl", "*/*", "identity"), ("/packages/foo-1.0-py3-none-any.whl.metadata", "*/*", "identity")])
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, _origin.Http + path);
            request.Headers.TryAddWithoutValidation("Accept", accept);
            request.Headers.TryAddWithoutValidation("Accept-Encoding", encoding);
            using var answer = await client.SendAsync(request);
            Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        }
    }

    [Fact]
    public async Task What_the_configuration_names_is_brought_in_at_the_start()
    {
        var file = _origin.Write("package-lock.json", $$"""{"lockfileVersion":3,"packages":{"node_modules/left":{"version":"1.0.0","resolved":"{{_origin.Http}}/left/-/left-1.0.0.tgz"} } }""");
        await using var proxy = await RunningProxy.StartAsync($"cache: {{dir: '{{DIR}}/cache', warm: ['{_origin.Authority}/team/app:v1', '{file}']}}");
        var cache = proxy.Services.GetRequiredService<ContentCache>();
        await Eventually.TrueAsync(() => Task.FromResult(cache.Statistics().Entries >= 5));
        await Eventually.TrueAsync(async () => (await File.ReadAllTextAsync(proxy.LogFile)).Contains("cache warmed stored=2 here=0 failed=0", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("[]", 400, "the body must be as in")]
    [InlineData("{\"items\":[]}", 400, "items must be 1 to 1000 things")]
    [InlineData("{\"items\":[{\"image\":\"a\"}]}", 400, "items must be 1 to 1000 things")]
    [InlineData("{\"items\":[{\"name\":\"a\"}],\"platform\":\"linux\"}", 400, "platform must be as in linux/arm64")]
    public async Task What_makes_no_sense_is_refused(string body, int status, string reason)
    {
        using var api = _proxy.Api();
        using var answer = await api.PostAsync("/api/cache/warm", new StringContent(body, Encoding.UTF8, "application/json"));
        Assert.Equal(status, (int)answer.StatusCode);
        Assert.StartsWith(reason, (await answer.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("error").GetString(), StringComparison.Ordinal);
        using var form = await api.PostAsync("/api/cache/warm", new StringContent("{}"));
        Assert.Equal(HttpStatusCode.UnsupportedMediaType, form.StatusCode);
        await using var guarded = await RunningProxy.StartAsync();
        using var unknown = guarded.Api();
        using var refused = await unknown.PostAsync("/api/cache/warm", new StringContent(body, Encoding.UTF8, "application/json"));
        Assert.Equal(HttpStatusCode.Unauthorized, refused.StatusCode);
    }

    [Fact]
    public async Task Nothing_named_or_a_file_of_another_kind_is_a_mistake_before_anything_is_asked()
    {
        Assert.NotEqual(0, (await RunAsync()).Code);
        Assert.NotEqual(0, (await RunAsync("alpine", "--platform", "arm64")).Code);
        var (code, _, errors) = await RunAsync("--file", _origin.Write("setup.py", ""));
        Assert.Equal(1, code);
        Assert.Contains("is none of Dockerfile, compose.yaml, package-lock.json", errors, StringComparison.Ordinal);
    }

    private static string Sha512(string text) => "sha512-" + Convert.ToBase64String(SHA512.HashData(Encoding.UTF8.GetBytes(text)));

    private Task<(int Code, string Output, string Errors)> RunAsync(params string[] arguments) => RunAsync(_proxy, arguments);

    private static async Task<(int Code, string Output, string Errors)> RunAsync(RunningProxy proxy, params string[] arguments)
    {
        using var output = new StringWriter();
        using var errors = new StringWriter();
        string[] all = ["cache", "warm", .. arguments, "--api", $"http://127.0.0.1:{proxy.ApiPort}"];
        var code = await RootCommands.Create().Parse(all).InvokeAsync(new InvocationConfiguration { Output = output, Error = errors });
        return (code, output.ToString(), errors.ToString());
    }
}
