using System.Net;
using Discobot.Features.Configuration;
using Discobot.Infrastructure.Config;
using Discobot.Tests.Fixtures;

namespace Discobot.Features.Cache.Remote;

/// <summary>What is read, what is refused, and what becomes of it in the whole proxy.</summary>
public sealed class RemoteOptionsTests
{
    [Theory]
    [InlineData("s3: {bucket: b}", "needs endpoint")]
    [InlineData("s3: {endpoint: 'https://s3.example'}", "needs bucket")]
    [InlineData("s3: {endpoint: 's3.example', bucket: b}", "must be an http or https URL")]
    [InlineData("s3: {endpoint: 'https://key:secret@s3.example', bucket: b}", "must be an http or https URL without a name")]
    [InlineData("s3: {endpoint: 'https://s3.example', bucket: a/b}", "must be of letters")]
    [InlineData("s3: {endpoint: 'https://s3.example', bucket: b, prefix: a/../b}", "must be of letters")]
    [InlineData("s3: {endpoint: 'https://s3.example', bucket: b, region: a/b}", "must be of letters")]
    [InlineData("http: 'ftp://a.example'", "must be an http or https URL")]
    [InlineData("{s3: {endpoint: 'https://s3.example', bucket: b}, http: 'https://a.example'}", "there is one store")]
    [InlineData("{s3: {endpoint: 'https://s3.example', bucket: b}, authorization: 'env:A'}", "is for http")]
    [InlineData("{http: 'https://a.example', spool: -1}", "must be a size")]
    public void What_cannot_be_used_is_told_with_the_rule(string text, string error)
    {
        var read = SettingsSources.Of(null, new Dictionary<string, string>()).Load(ConfigDocument.Parse($"cache: {{remote: {(text.StartsWith('{') ? text : $"{{{text}}}")}}}", "test.yaml"));
        Assert.False(read.IsValid);
        Assert.Contains(error, read.ErrorText(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("", "/bucket/discobot/sha256/")]
    [InlineData(", prefix: /team/a/", "/bucket/team/a/sha256/")]
    [InlineData(", prefix: /", "/bucket/sha256/")]
    public async Task The_whole_proxy_reads_from_and_uploads_to_it_tells_of_it_and_no_credential_is_in_its_log(string prefix, string key)
    {
        var (s3, body) = (new TestS3(), TemporaryCache.Body(1000));
        await using var store = await FaultProxy.StartAsync(s3.AnswerAsync);
        await using var proxy = await RunningProxy.StartAsync(
            $$"""cache: {dir: '{DIR}/cache', remote: {s3: {endpoint: '{{store.Address}}', bucket: bucket, region: eu-test-1{{prefix}} } } }""",
            variables: TestS3.Variables);
        await using var origin = await TestOrigin.StartAsync(proxy.Upstreams.Issue(["localhost"]), context => Microsoft.AspNetCore.Http.Results.Bytes(body, "application/octet-stream").ExecuteAsync(context));
        using var client = proxy.Client();
        using var api = proxy.Api();
        var address = $"{origin.Https}/v2/a/blobs/sha256:{TemporaryCache.HexOf(body)}";
        using (var explained = await api.GetAsync($"/api/explain?url={Uri.EscapeDataString(address)}"))
            Assert.Contains("cache.remote", await explained.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        Assert.Equal(body, await client.GetByteArrayAsync(address));
        await Eventually.TrueAsync(() => Task.FromResult(!s3.Objects.IsEmpty));
        Assert.StartsWith(key, Assert.Single(s3.Objects).Key, StringComparison.Ordinal);
        await Eventually.TrueAsync(async () => (await api.GetStringAsync("/metrics")).Contains("\ndiscobot_cache_remote_uploads_total 1\n", StringComparison.Ordinal));
        Assert.Contains("\"uploads\":1", await api.GetStringAsync("/api/cache/stats"), StringComparison.Ordinal);

        // Refused, which is told of.
        s3.Credentials.Clear();
        var asked = s3.Asked.Count;
        for (var i = 0; i < 5; i++)
        {
            using var missing = await client.GetAsync($"{origin.Https}/v2/a/blobs/sha256:{TemporaryCache.HexOf(TemporaryCache.Body(10))}");
            Assert.Equal(HttpStatusCode.OK, missing.StatusCode);
        }

        await Eventually.TrueAsync(() => Task.FromResult(File.ReadAllText(proxy.LogFile).Contains("remote cache is left alone", StringComparison.Ordinal)));
        Assert.True(s3.Asked.Count > asked);
        var log = await File.ReadAllTextAsync(proxy.LogFile);
        Assert.DoesNotContain(TestS3.Secret, log, StringComparison.Ordinal);
        Assert.DoesNotContain(TestS3.Id, log, StringComparison.Ordinal);
        Assert.DoesNotContain("AWS4", log, StringComparison.Ordinal);
        Assert.DoesNotContain(TestS3.Secret, await api.GetStringAsync("/api/config"), StringComparison.Ordinal);
    }
}
