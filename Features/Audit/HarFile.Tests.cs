using System.Net;
using System.Text.Json;
using Discobot.Tests.Fixtures;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;

namespace Discobot.Features.Audit;

/// <summary>The archive against the fields of HAR 1.2.</summary>
public sealed class HarFileTests
{
    private static JsonSchema Schema { get; } = new(File.ReadAllText(Path.Combine(Checkout.Top(), "Features/Audit/HarFile.Tests/har-1.2.schema.json")));

    [Fact]
    public async Task Whatever_has_passed_the_archive_is_HAR_1_2()
    {
        await using var proxy = await RunningProxy.StartAsync("""
            audit: {enabled: false}
            allowlist: {enabled: true, domains: [localhost], ips: [127.0.0.1]}
            """);
        await using var origin = await TestOrigin.StartAsync(proxy.Upstreams.Issue(["localhost"]), async context =>
        {
            if (context.Request.Path == "/cut")
                context.Abort();
            else
                await context.Response.WriteAsync("twelve bytes");
        });
        using var client = proxy.Client();
        foreach (var address in new[] { $"{origin.Https}/a?q=1&&part&%22=2", $"{origin.Http}/b", "http://elsewhere.example/c?x", $"{origin.Http}/cut", "http://[2001:db8::1]:8080/", "http://localhost:1/" })
        {
            using var answer = await client.GetAsync(address);
        }

        using var http2 = proxy.Client(HttpVersion.Version20);
        await http2.GetStringAsync($"{origin.Https}/h2");
        using var options = new HttpRequestMessage(HttpMethod.Options, origin.Http);
        using var sent = await client.SendAsync(options);
        // What no client would send any more, and what no network gives so quickly.
        var recorder = proxy.Services.GetRequiredService<FlowRecorder>();
        recorder.End(new Flow { Id = "1", Entry = "http", Method = "OPTIONS", Scheme = "http", Host = "a.example", Port = 80, PathAndQuery = "*" });
        recorder.End(new Flow { Id = "2", Entry = "socks5", Protocol = "tcp", Host = "a.example", Port = 22 });
        recorder.End(new Flow { Id = "3", Entry = "dns", Method = "AAAA", Host = "a.example" });
        recorder.End(new Flow { Id = "4", Entry = "http", Method = "GET", Scheme = "https", Host = "a.example", Port = 443, PathAndQuery = "/\u202e\"<>\t", Error = "\u2028" });

        using var api = proxy.Api();
        JsonElement archive = default;
        await Eventually.TrueAsync(async () => (archive = JsonElement.Parse(await api.GetStringAsync("/api/har"))).GetProperty("log").GetProperty("entries").GetArrayLength() == 10);
        Assert.Null(Schema.Problem(archive));
    }

    [Fact]
    public async Task Where_nothing_has_passed_it_is_one_too()
    {
        await using var proxy = await RunningProxy.StartAsync("audit: {enabled: false}");
        using var api = proxy.Api();
        var archive = JsonElement.Parse(await api.GetStringAsync("/api/har"));
        Assert.Null(Schema.Problem(archive));
        Assert.Equal(0, archive.GetProperty("log").GetProperty("entries").GetArrayLength());
    }

    [Theory]
    [InlineData("""{"log": {"version": "1.2", "creator": {"name": "a"}, "entries": []}}""", "$.log.creator has no version")]
    [InlineData("""{"log": {"version": "1.1", "creator": {"name": "a", "version": "1"}, "entries": []}}""", "$.log.version is not one of [\"1.2\"]")]
    [InlineData("""{"log": {"version": "1.2", "creator": {"name": "a", "version": "1"}, "entries": [{"time": "1"}]}}""", "$.log.entries[0] has no startedDateTime")]
    [InlineData("""{"log": {"version": "1.2", "creator": {"name": "a", "version": "1"}, "entries": [], "own": 1}}""", "$.log.own has no place there")]
    public void What_is_none_would_be_noticed(string archive, string problem) => Assert.Equal(problem, Schema.Problem(JsonElement.Parse(archive)));
}
