using System.Diagnostics;
using System.Text.Json;
using Discobot.Integration.Fixtures;
using Discobot.Integration.Wire;
using Discobot.Tests.Fixtures;
using Microsoft.AspNetCore.Http;

namespace Discobot.Integration.Api;

/// <summary>What the shipped executable says of itself: its JSON and counters are made without reflection.</summary>
public sealed class ApiTests(WireFixture fixture) : IClassFixture<WireFixture>
{
    private const string Requests = "discobot_requests_total{method=\"GET\",status=\"2xx\"}";
    private const string Connect = "discobot_connections_total{protocol=\"connect\"}";
    private const string Socks = "discobot_connections_total{protocol=\"socks5\"}";

    [Fact]
    public async Task Metrics_are_in_the_format_and_count_what_curl_did()
    {
        await using var origin = await fixture.OriginAsync(context => context.Response.WriteAsync("hello"));
        var before = await MetricsAsync();
        await fixture.Proxy.CurlAsync(origin.Https.ToString());
        await fixture.Proxy.CurlAsync("--socks5-hostname", fixture.Proxy.Proxy.Authority, origin.Http.ToString());
        var after = await MetricsAsync();
        // A request is counted when its answer has been sent, which curl may know first.
        for (var tries = 0; after[Requests] == before[Requests] && tries < 100; tries++, after = await MetricsAsync())
            await Task.Delay(20);
        Assert.Equal(1, after[Requests] - before[Requests]);
        Assert.Equal(1, after[Connect] - before[Connect]);
        Assert.Equal(1, after[Socks] - before[Socks]);
        Assert.InRange(after["discobot_upstream_sent_bytes_total"] - before["discobot_upstream_sent_bytes_total"], 500, 10_000);
        Assert.InRange(after["discobot_request_duration_seconds_sum"], 0.0001, 60);
        Assert.InRange(after["process_working_set_bytes"], 1 << 20, 1 << 30);
    }

    [Theory]
    [InlineData("/health", "status")]
    [InlineData("/api/config", "allowlist")]
    [InlineData("/api/cache/stats", "hit_rate")]
    [InlineData("/api/allowlist/learned", "hosts")]
    [InlineData("/api/explain?url=https://example.org/", "outcome")]
    [InlineData("/api/explain", "error")]
    [InlineData("/nothing", "error")]
    public async Task Every_answer_is_JSON(string path, string field)
    {
        using var client = new HttpClient();
        using var answer = await client.GetAsync(new Uri(fixture.Proxy.Api, path));
        Assert.Equal("application/json", answer.Content.Headers.ContentType!.MediaType);
        Assert.True(JsonDocument.Parse(await answer.Content.ReadAsStringAsync()).RootElement.TryGetProperty(field, out _));
    }

    [Theory]
    [InlineData("explain", "https://example.org/x", "\nallowlist  allowed by allowlist disabled (mode off)\n")]
    [InlineData("cache", "stats", "hits        0 (")]
    [InlineData("cache", "clear", "The cache is empty.")]
    public async Task Commands_ask_the_running_proxy(string command, string argument, string said)
    {
        var start = new ProcessStartInfo(Binary.Path, [command, argument, "--api", fixture.Proxy.Api.ToString()]) { RedirectStandardOutput = true };
        using var asked = Process.Start(start)!;
        Assert.Contains(said, await asked.StandardOutput.ReadToEndAsync(), StringComparison.Ordinal);
        await asked.WaitForExitAsync();
        Assert.Equal(0, asked.ExitCode);
    }

    private async Task<PrometheusText> MetricsAsync()
    {
        using var client = new HttpClient();
        return PrometheusText.Parse(await client.GetStringAsync(new Uri(fixture.Proxy.Api, "/metrics")));
    }
}
