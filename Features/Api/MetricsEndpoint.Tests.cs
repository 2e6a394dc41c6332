using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using Discobot.Features.Configuration;
using Discobot.Features.Interception;
using Discobot.Tests.Fixtures;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;

namespace Discobot.Features.Api;

public sealed class MetricsEndpointTests : IAsyncLifetime
{
    private RunningProxy _proxy = null!;
    private TestOrigin _origin = null!;

    public async Task InitializeAsync()
    {
        _proxy = await RunningProxy.StartAsync("allowlist: {enabled: true, domains: [{host: localhost, methods: [GET]}], ips: [127.0.0.1]}");
        _origin = await TestOrigin.StartAsync(_proxy.Upstreams.Issue(["localhost"]), context => context.Response.WriteAsync("twelve bytes"));
    }

    public async Task DisposeAsync()
    {
        await _origin.DisposeAsync();
        await _proxy.DisposeAsync();
    }

    [Fact]
    public async Task Everything_is_counted_in_the_format_and_under_the_names_that_Prometheus_wants()
    {
        var before = await ReadAsync();
        Assert.Equal(0, before["discobot_request_duration_seconds_count"]);
        using (var client = _proxy.Client())
        {
            Assert.Equal("twelve bytes", await client.GetStringAsync(_origin.Http));
            Assert.Equal("twelve bytes", await client.GetStringAsync(_origin.Https));
            using var refused = await client.PostAsync(_origin.Https, null);
            using var nowhere = await client.GetAsync("http://nowhere.example/");
            using var invented = new HttpRequestMessage(new HttpMethod("BREW"), _origin.Http);
            using var teapot = await client.SendAsync(invented);
            await Eventually.TrueAsync(async () => (await ReadAsync())["discobot_request_duration_seconds_count"] == 5);
            var during = await ReadAsync();
            Assert.Equal(1, during["discobot_connections_open{protocol=\"http\"}"]);
            Assert.Equal(1, during["discobot_connections_open{protocol=\"connect\"}"]);
        }

        await SayAsync("\x16\x03\x01"u8.ToArray());
        await Eventually.TrueAsync(async () => (await ReadAsync())["discobot_connections_open{protocol=\"connect\"}"] == 0);
        var after = await ReadAsync();

        Assert.Equal(2, after["discobot_requests_total{method=\"GET\",status=\"2xx\"}"]);
        Assert.Equal(1, after["discobot_requests_total{method=\"GET\",status=\"4xx\"}"]);
        Assert.Equal(1, after["discobot_requests_total{method=\"POST\",status=\"4xx\"}"]);
        Assert.Equal(1, after["discobot_requests_total{method=\"other\",status=\"4xx\"}"]);
        Assert.InRange(after["discobot_request_duration_seconds_sum"], 0.0001, 60);
        Assert.Equal(1, after["discobot_blocked_total{kind=\"no_entry\"}"]);
        Assert.Equal(2, after["discobot_blocked_total{kind=\"method_or_path\"}"]);
        Assert.Equal(1, after["discobot_connections_total{protocol=\"connect\"}"]);
        Assert.Equal(1, after["discobot_connections_total{protocol=\"refused\"}"]);
        // One request in plain text, one in TLS with its handshake.
        Assert.InRange(after["discobot_upstream_sent_bytes_total"], 600, 4000);
        Assert.InRange(after["discobot_upstream_received_bytes_total"], 1000, 8000);
        Assert.Equal(1, after["discobot_certificates_minted_total"]);
        Assert.Equal(1, after["discobot_certificates_cached"]);
        Assert.True(after["discobot_ca_expiry_timestamp_seconds"] > DateTimeOffset.UtcNow.AddYears(9).ToUnixTimeSeconds());
        Assert.True(after["process_cpu_seconds_total"] > 0);
    }

    [Fact]
    public async Task Bytes_of_tunnels_that_nobody_looks_into_are_counted_to_the_byte()
    {
        var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        await using var proxy = await RunningProxy.StartAsync(tls: ", passthrough: [127.0.0.1]");
        using var client = new TcpClient();
        await client.ConnectAsync(IPAddress.Loopback, proxy.Port);
        var stream = client.GetStream();
        await stream.WriteAsync(Encoding.ASCII.GetBytes($"CONNECT {listener.LocalEndpoint} HTTP/1.1\r\n\r\n"));
        using var server = await listener.AcceptTcpClientAsync();
        await stream.WriteAsync(new byte[70_000]);
        await server.GetStream().ReadExactlyAsync(new byte[70_000]);
        await server.GetStream().WriteAsync(new byte[123_456]);
        // While it is open: tunnels live for days.
        await Eventually.TrueAsync(async () => await ReadAsync(proxy) is var metrics
            && metrics["discobot_upstream_sent_bytes_total"] == 70_000 && metrics["discobot_upstream_received_bytes_total"] == 123_456);
        listener.Stop();
    }

    [Fact]
    public async Task What_the_cache_did_is_shown()
    {
        var path = $"/v2/a/blobs/sha256:{Convert.ToHexStringLower(SHA256.HashData("twelve bytes"u8))}";
        using var client = _proxy.Client();
        await client.GetStringAsync(_origin.Https + path);
        await Eventually.TrueAsync(async () => (await ReadAsync())["discobot_cache_stores_total"] == 1);
        await client.GetStringAsync(_origin.Https + path);
        await Eventually.TrueAsync(async () => (await ReadAsync())["discobot_cache_served_bytes_total"] == 24);
        var metrics = await ReadAsync();
        Assert.Equal((1, 1), (metrics["discobot_cache_hits_total"], metrics["discobot_cache_misses_total"]));
        Assert.Equal((1, 12), (metrics["discobot_cache_entries"], metrics["discobot_cache_size_bytes"]));
        Assert.Equal(20L << 30, metrics["discobot_cache_max_size_bytes"]);
        Assert.Equal(0, metrics["discobot_cache_errors_total"]);
    }

    [Fact]
    public async Task Changes_of_the_configuration_are_counted_whether_taken_or_refused()
    {
        var configuration = _proxy.Services.GetRequiredService<LiveConfiguration>();
        Assert.False(configuration.Apply("""{"allowlist": {"mode": 1}}"""u8, merge: true).IsValid);
        var before = await ReadAsync();
        Assert.Equal(1, before["discobot_config_changes_total{source=\"api\",result=\"refused\"}"]);
        Assert.Equal(0, before["discobot_config_last_change_timestamp_seconds"]);
        Assert.True(configuration.Apply("""{"allowlist": {"mode": "learn"}}"""u8, merge: true).IsValid);
        Assert.True(configuration.Reload().IsValid);
        var after = await ReadAsync();
        Assert.Equal(1, after["discobot_config_changes_total{source=\"api\",result=\"applied\"}"]);
        Assert.Equal(1, after["discobot_config_changes_total{source=\"file\",result=\"applied\"}"]);
        Assert.InRange(after["discobot_config_last_change_timestamp_seconds"], DateTimeOffset.UtcNow.ToUnixTimeSeconds() - 60, DateTimeOffset.UtcNow.ToUnixTimeSeconds() + 1);
    }

    [Fact]
    public void Counting_a_request_allocates_nothing()
    {
        var metrics = new RequestMetrics(TestMetrics.New());
        metrics.Count("GET", 200, TimeSpan.FromSeconds(1));
        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var i = 0; i < 1000; i++)
            metrics.Count("GET", 200, TimeSpan.FromSeconds(1));
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
    }

    [Theory]
    [InlineData("discobot_x_total 1\n", "outside its family")]
    [InlineData("# TYPE discobot_x_total counter\ndiscobot_x_total 1\n", "HELP is missing")]
    [InlineData("# HELP discobot_x Help.\n# TYPE discobot_x counter\ndiscobot_x 1\n", "no name for a counter")]
    [InlineData("# HELP discobot_x_total Help.\n# TYPE discobot_x_total gauge\ndiscobot_x_total 1\n", "no name for a gauge")]
    [InlineData("# HELP discobot_x_ms Help.\n# TYPE discobot_x_ms gauge\ndiscobot_x_ms 1\n", "no name for a gauge")]
    [InlineData("# HELP discobot_x Help.\n# TYPE discobot_x gauge\ndiscobot_x{a=\"1\"} 1\ndiscobot_x{a=\"1\"} 2\n", "twice")]
    [InlineData("# HELP discobot_x Help.\n# TYPE discobot_x gauge\ndiscobot_x{a=\"1\",} 1\n", "neither")]
    [InlineData("# HELP discobot_x Help.\n# TYPE discobot_x gauge\ndiscobot_x 1", "does not end")]
    public void What_is_not_in_the_format_would_be_noticed(string text, string what) =>
        Assert.Contains(what, Assert.Throws<FormatException>(() => PrometheusText.Parse(text)).Message, StringComparison.Ordinal);

    [Theory]
    [InlineData("1", "3", "2", "3", "not cumulative")]
    [InlineData("1", "2", "3", "4", "not the count")]
    public void A_histogram_that_does_not_add_up_would_be_noticed(string one, string ten, string all, string count, string what)
    {
        var text = $"""
            # HELP discobot_x_seconds Help.
            # TYPE discobot_x_seconds histogram
            discobot_x_seconds_sum 1.5
            discobot_x_seconds_count {count}
            discobot_x_seconds_bucket{"{le=\"1\"}"} {one}
            discobot_x_seconds_bucket{"{le=\"10\"}"} {ten}
            discobot_x_seconds_bucket{"{le=\"+Inf\"}"} {all}

            """;
        Assert.Contains(what, Assert.Throws<FormatException>(() => PrometheusText.Parse(text)).Message, StringComparison.Ordinal);
    }

    private Task<PrometheusText> ReadAsync() => ReadAsync(_proxy);

    private static async Task<PrometheusText> ReadAsync(RunningProxy proxy)
    {
        using var api = proxy.Api();
        using var response = await api.GetAsync("/metrics");
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal("text/plain; version=0.0.4; charset=utf-8", response.Content.Headers.ContentType!.ToString());
        return PrometheusText.Parse(await response.Content.ReadAsStringAsync());
    }

    private async Task SayAsync(byte[] bytes)
    {
        using var tcp = new TcpClient();
        await tcp.ConnectAsync(IPAddress.Loopback, _proxy.Port);
        await tcp.GetStream().WriteAsync(bytes);
        Assert.Equal(0, await tcp.GetStream().ReadAsync(new byte[1]));
    }
}
