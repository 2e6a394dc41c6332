using System.Net;
using Discobot.Tests.Fixtures;
using Microsoft.AspNetCore.Http;

namespace Discobot.Features.Packages.Crates;

/// <summary>A client as cargo, the whole proxy, and a sparse index.</summary>
public sealed class CrateRegistryTests : IAsyncLifetime
{
    private RunningProxy _proxy = null!;
    private TestOrigin _origin = null!;
    private HttpClient _client = null!;

    private static readonly string[] Lines =
    [
        Line("1.0.0", $",\"pubtime\":\"{DateTimeOffset.UtcNow.AddDays(-90):yyyy-MM-dd'T'HH:mm:ss'Z'}\""),
        Line("1.1.0", $",\"pubtime\":\"{DateTimeOffset.UtcNow.AddDays(-30):yyyy-MM-dd'T'HH:mm:ss'Z'}\""),
        Line("1.2.0", $",\"pubtime\":\"{DateTimeOffset.UtcNow.AddHours(-5):yyyy-MM-dd'T'HH:mm:ss'Z'}\""),
        Line("1.3.0", ""),
    ];

    public async Task InitializeAsync()
    {
        _proxy = await RunningProxy.StartAsync("packages: { min_age: 3d, min_age_exclude: [ours-*] }");
        _origin = await TestOrigin.StartAsync(_proxy.Upstreams.Issue(["localhost"]), AnswerAsync);
        _client = _proxy.Client();
        _client.DefaultRequestHeaders.TryAddWithoutValidation("User-Agent", "cargo/1.95.0");
    }

    public async Task DisposeAsync()
    {
        _client.Dispose();
        await _proxy.DisposeAsync();
        await _origin.DisposeAsync();
    }

    [Fact]
    public async Task The_index_has_the_lines_of_old_versions_byte_for_byte_and_a_tag_of_its_own()
    {
        using var answer = await _client.GetAsync(_origin.Http + "/index/le/ft/left");
        Assert.Equal(Lines[0] + Lines[1], await answer.Content.ReadAsStringAsync());
        Assert.NotEqual("\"origin\"", answer.Headers.ETag!.Tag);
        using var again = new HttpRequestMessage(HttpMethod.Get, _origin.Http + "/index/le/ft/left");
        again.Headers.IfNoneMatch.Add(answer.Headers.ETag);
        using var same = await _client.SendAsync(again);
        Assert.Equal(HttpStatusCode.NotModified, same.StatusCode);
        using var excluded = await _client.GetAsync(_origin.Http + "/index/ou/rs/ours-x");
        Assert.Equal(string.Concat(Lines), await excluded.Content.ReadAsStringAsync());
    }

    [Fact]
    public async Task The_crate_of_a_young_version_is_refused_with_its_reason()
    {
        using var index = await _client.GetAsync(_origin.Http + "/index/le/ft/left");
        foreach (var (path, status) in new[]
        {
            ("/crates/left/left-1.1.0.crate", HttpStatusCode.OK), ("/crates/left/left-1.2.0.crate", HttpStatusCode.Forbidden),
            ("/crates/left/1.2.0/download", HttpStatusCode.Forbidden), ("/crates/left/1.3.0/download", HttpStatusCode.Forbidden), ("/crates/left/1.0.0/download", HttpStatusCode.OK),
        })
        {
            using var answer = await _client.GetAsync(_origin.Http + path);
            Assert.True(status == answer.StatusCode, path);
            if (path.Contains("1.2.0", StringComparison.Ordinal))
                Assert.Contains("left 1.2.0 was published", await answer.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData("/1/a", "a", null)]
    [InlineData("/x/2/ab", "ab", null)]
    [InlineData("/3/a/abc", "abc", null)]
    [InlineData("/Ab/Cd/AbCd", "abcd", null)]
    [InlineData("/crates/a-b/a-b-1.0.0-rc.1.crate", "a-b", "1.0.0-rc.1")]
    [InlineData("/api/v1/crates/a/1.0.0/download", "a", "1.0.0")]
    [InlineData("/ab/ce/abcd", null, null)]
    [InlineData("/config.json", null, null)]
    [InlineData("/crates/b/a-1.0.0.crate", null, null)]
    public void Addresses_are_read(string path, string? crate, string? version)
    {
        Assert.Equal(crate is not null, CrateAddress.TryParse(path, out var address));
        Assert.Equal((crate, version), (address?.Crate, address?.Version));
    }

    private static string Line(string version, string time) =>
        $"{{\"name\":\"left\",\"vers\":\"{version}\",\"deps\":[],\"cksum\":\"00\",\"features\":{{}},\"yanked\":false{time}}}\n";

    private static async Task AnswerAsync(HttpContext context)
    {
        if (context.Request.Path.Value!.Contains("/crates/", StringComparison.Ordinal))
        {
            await context.Response.WriteAsync("crate");
            return;
        }

        context.Response.Headers.ETag = "\"origin\"";
        context.Response.ContentType = "text/plain";
        if (context.Request.Headers.IfNoneMatch == "\"origin\"")
            context.Response.StatusCode = 304;
        else
            await context.Response.WriteAsync(string.Concat(Lines));
    }
}
