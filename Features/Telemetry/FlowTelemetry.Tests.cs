using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net;
using Discobot.Features.Audit;
using Discobot.Infrastructure;
using Discobot.Tests.Fixtures;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;

namespace Discobot.Features.Telemetry;

/// <summary>What a collector hears of real requests.</summary>
public sealed class FlowTelemetryTests : IAsyncLifetime
{
    private const string Secret = "s3cret-value";
    private const string Trace = "0af7651916cd43dd8448eb211c80319c";
    private const string Sampled = $"00-{Trace}-b7ad6b7169203331-01";
    private readonly ConcurrentQueue<(string Parent, string State)> _arrived = new();
    private TestCollector _collector = null!;
    private TestOrigin _origin = null!;
    private RunningProxy? _proxy;

    public async Task InitializeAsync() => _collector = await TestCollector.StartAsync();

    public async Task DisposeAsync()
    {
        if (_proxy is not null)
        {
            await _origin.DisposeAsync();
            await _proxy.DisposeAsync();
        }

        await _collector.DisposeAsync();
    }

    [Theory]
    [InlineData("1.1", false, "http", "1.1")]
    [InlineData("1.1", true, "connect", "1.1")]
    [InlineData("2.0", true, "connect", "2")]
    public async Task Each_request_is_a_span_of_its_clients_trace_whose_fields_go_upstream_untouched(string version, bool tls, string entry, string protocol)
    {
        var proxy = await StartAsync();
        using var client = proxy.Client(Version.Parse(version));
        using var request = new HttpRequestMessage(HttpMethod.Post, $"{(tls ? _origin.Https : _origin.Http)}/a/b?q={Secret}") { Content = new StringContent("five!"), Version = Version.Parse(version), VersionPolicy = HttpVersionPolicy.RequestVersionExact };
        request.Headers.TryAddWithoutValidation("traceparent", Sampled);
        request.Headers.TryAddWithoutValidation("tracestate", "vendor=1,other=2");
        request.Headers.TryAddWithoutValidation("X-Mine", Secret);
        var before = DateTimeOffset.UtcNow;
        using var answer = await client.SendAsync(request);
        Assert.Equal("twelve bytes", await answer.Content.ReadAsStringAsync());

        var span = await SpanAsync(s => s["url.path"] == "/a/b");
        Assert.Equal((Sampled, "vendor=1,other=2"), Assert.Single(_arrived));
        Assert.Equal((Trace, "b7ad6b7169203331", "vendor=1,other=2"), (span.Trace, span.Parent, span.State));
        Assert.Equal(("POST", 2UL, 0UL), (span.Name, span.Kind, span.Status));
        Assert.Equal(("POST", tls ? "https" : "http", "localhost"), (span["http.request.method"], span["url.scheme"], span["server.address"]));
        Assert.Equal(($"{(tls ? _origin.HttpsPort : _origin.HttpPort)}", "q=REDACTED", "200"), (span["server.port"], span["url.query"], span["http.response.status_code"]));
        Assert.Equal(("5", "12", protocol), (span["http.request.body.size"], span["http.response.body.size"], span["network.protocol.version"]));
        Assert.Equal(("127.0.0.1", entry, "allowed", "none"), (span["client.address"], span["discobot.entry"], span["discobot.verdict"], span["discobot.cache"]));
        Assert.Equal("", span["error.type"]);
        Assert.Equal(("egress", "a b"), (span.Resource["service.name"], span.Resource["team"]));
        Assert.InRange(span.Start, (ulong)before.AddSeconds(-1).ToUnixTimeMilliseconds() * 1_000_000, span.End);
        Assert.DoesNotContain(Secret, string.Join(' ', span.Attributes.Values), StringComparison.Ordinal);
        Assert.All(_collector.Keys, key => Assert.Equal("operators own", key));
        // No rule allows the collector's address, and what is sent to it is no traffic of a client.
        Assert.DoesNotContain(proxy.Services.GetRequiredService<RecentFlows>().Kept(), flow => flow.Host == "127.0.0.3");
    }

    [Fact]
    public async Task What_is_refused_and_what_fails_are_spans_of_their_own_traces_and_nothing_is_added_to_what_goes_upstream()
    {
        var proxy = await StartAsync();
        using var client = proxy.Client();
        using var blocked = await client.GetAsync("http://elsewhere.example/no");
        using var failed = await client.GetAsync($"{_origin.Http}/fails");
        using var brew = new HttpRequestMessage(new HttpMethod("BREW"), $"{_origin.Http}/pot");
        using var teapot = await client.SendAsync(brew);

        var (no, fails, pot) = (await SpanAsync(s => s["url.path"] == "/no"), await SpanAsync(s => s["url.path"] == "/fails"), await SpanAsync(s => s["url.path"] == "/pot"));
        Assert.Equal(("403", "blocked", 0UL, "blocked"), (no["http.response.status_code"], no["discobot.verdict"], no.Status, no["error.type"]));
        Assert.Equal(blocked.Headers.GetValues("X-Discobot-Request-Id").Single(), no["discobot.request_id"]);
        Assert.Equal(("503", "allowed", 2UL, "503"), (fails["http.response.status_code"], fails["discobot.verdict"], fails.Status, fails["error.type"]));
        Assert.Equal(("HTTP", "_OTHER", "BREW"), (pot.Name, pot["http.request.method"], pot["http.request.method_original"]));
        Assert.Equal(("", "", ""), (no.Parent, fails.Parent, pot.Parent));
        Assert.Equal(3, new[] { no.Trace, fails.Trace, pot.Trace }.Distinct().Count());
        Assert.All(_arrived, fields => Assert.Equal(("", ""), fields));
    }

    [Fact]
    public async Task Requests_are_measured_by_the_conventions_without_their_hosts()
    {
        var proxy = await StartAsync();
        using var client = proxy.Client();
        for (var i = 0; i < 3; i++)
            await client.GetStringAsync($"{_origin.Http}/{i}");
        using var blocked = await client.GetAsync("http://elsewhere.example/no");
        IReadOnlyList<TestCollector.Point> points = [];
        await Eventually.TrueAsync(() => Task.FromResult((points = _collector.Points("http.server.request.duration")).Sum(p => (int)p.Count) == 4));

        var (passed, refused) = (points.Single(p => p.Attributes["http.response.status_code"] == "200"), points.Single(p => p.Attributes["http.response.status_code"] == "403"));
        Assert.Equal(("s", 3UL, "GET", "allowed", "none"), (passed.Unit, passed.Count, passed.Attributes["http.request.method"], passed.Attributes["discobot.verdict"], passed.Attributes["discobot.cache"]));
        Assert.Equal((1UL, "blocked", "blocked"), (refused.Count, refused.Attributes["discobot.verdict"], refused.Attributes["error.type"]));
        Assert.InRange(passed.Sum, 0.000001, 60);
        Assert.Equal(36, _collector.Points("http.server.response.body.size").Single(p => p.Attributes["http.response.status_code"] == "200").Sum);
        Assert.All(points, point => Assert.DoesNotContain(point.Attributes.Values, value => value.Contains("localhost", StringComparison.Ordinal) || value.Contains("elsewhere", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task What_the_cache_counts_is_reported()
    {
        var proxy = await StartAsync();
        using var client = proxy.Client();
        for (var i = 0; i < 3; i++)
            Assert.Equal("twelve bytes", await client.GetStringAsync($"{_origin.Https}/cached"));
        await Eventually.TrueAsync(() => Task.FromResult(_collector.Count("discobot.cache.hits") is { Value: 2 }));
        Assert.Equal(("{request}", 2L, true), _collector.Count("discobot.cache.hits"));
        Assert.Equal(("{request}", 1L, true), _collector.Count("discobot.cache.misses"));
        Assert.Equal(("By", 36L, true), _collector.Count("discobot.cache.served"));
        Assert.Equal(("{body}", 1L, true), _collector.Count("discobot.cache.stores"));
        Assert.Equal(("{body}", 1L, false), _collector.Count("discobot.cache.entries"));
        Assert.Equal(("By", 12L, false), _collector.Count("discobot.cache.size"));
        var documented = await File.ReadAllTextAsync(Path.Combine(Checkout.Top(), "docs", "telemetry.md"));
        Assert.All(proxy.Services.GetServices<ObservedCount>(), count =>
        {
            Assert.NotNull(_collector.Count(count.Name));
            Assert.Contains($"| `{count.Name}` | {count.Unit} |", documented, StringComparison.Ordinal);
        });
    }

    [Fact]
    public async Task The_sampler_is_the_one_that_is_named()
    {
        var proxy = await StartAsync(("OTEL_TRACES_SAMPLER", "parentbased_always_off"));
        using var client = proxy.Client();
        await client.GetStringAsync($"{_origin.Http}/alone");
        using var unsampled = new HttpRequestMessage(HttpMethod.Get, $"{_origin.Http}/unsampled");
        unsampled.Headers.TryAddWithoutValidation("traceparent", Sampled[..^1] + "0");
        using var one = await client.SendAsync(unsampled);
        using var sampled = new HttpRequestMessage(HttpMethod.Get, $"{_origin.Http}/sampled");
        sampled.Headers.TryAddWithoutValidation("traceparent", Sampled);
        using var other = await client.SendAsync(sampled);

        await SpanAsync(s => s["url.path"] == "/sampled");
        Assert.Single(_collector.Spans);
    }

    [Theory]
    [InlineData("OTEL_SDK_DISABLED", "true")]
    [InlineData("OTEL_EXPORTER_OTLP_ENDPOINT", "")]
    public async Task Off_nobody_reads_a_field_of_a_request_for_it(string variable, string value)
    {
        var proxy = await StartAsync((variable, value));
        Assert.DoesNotContain(proxy.Services.GetServices<IFlowObserver>(), observer => observer is FlowTelemetry);
        Assert.False(proxy.Services.GetRequiredService<FlowRecorder>().KeepsTraceContext);
        using var client = proxy.Client();
        await client.GetStringAsync($"{_origin.Http}/quiet");
        await proxy.EndAsync();
        Assert.Empty(_collector.Paths);
    }

    [Fact]
    public async Task One_of_the_two_may_be_left_out_and_go_elsewhere()
    {
        var proxy = await StartAsync(("OTEL_METRICS_EXPORTER", "none"), ("OTEL_EXPORTER_OTLP_ENDPOINT", ""), ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", $"{_collector.Endpoint}/else/where"));
        using var client = proxy.Client();
        await client.GetStringAsync($"{_origin.Http}/a");
        await Eventually.TrueAsync(() => Task.FromResult(_collector.Paths.Any()));
        await proxy.EndAsync();
        Assert.All(_collector.Paths, path => Assert.Equal("/else/where", path));
    }

    [Fact]
    public async Task By_gRPC_it_says_the_same()
    {
        await using var collector = await TestCollector.StartAsync(HttpProtocols.Http2);
        var proxy = await StartAsync(("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"), ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.Endpoint));
        using var client = proxy.Client();
        await client.GetStringAsync($"{_origin.Http}/a");
        await Eventually.TrueAsync(() => Task.FromResult(collector.Spans.Any(s => s["url.path"] == "/a") && collector.Points("http.server.request.duration").Any()));
        Assert.All(collector.Keys, key => Assert.Equal("operators own", key));
    }

    /// <summary>What is linked statically, and without what nobody seems to use, exports too; and its variables for other proxies are not for what it says itself.</summary>
    [Fact]
    public async Task The_executable_reaches_the_collector_past_a_parent_proxy()
    {
        var directory = Directory.CreateTempSubdirectory("discobot-test-").FullName;
        var (port, nowhere) = (RunningProxy.FreePort(), RunningProxy.FreePort());
        await File.WriteAllTextAsync(Path.Combine(directory, "config.yaml"), $$"""
            proxy: {port: {{port}}, api_port: {{RunningProxy.FreePort()}}}
            tls: {cert_dir: {{directory}}/certs}
            cache: {dir: {{directory}}/cache}
            api: {token_file: {{directory}}/token}
            logging: {file: {{directory}}/log}
            """);
        var start = new ProcessStartInfo(Executable.Path, ["proxy", "--config", Path.Combine(directory, "config.yaml")]);
        foreach (var (name, value) in _collector.Variables())
            start.Environment[name] = value;
        foreach (var name in (string[])["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"])
            start.Environment[name] = $"http://127.0.0.1:{nowhere}";
        start.Environment["NO_PROXY"] = start.Environment["no_proxy"] = "";
        using var process = Process.Start(start)!;
        try
        {
            using var client = new HttpClient(new SocketsHttpHandler { Proxy = new WebProxy($"http://127.0.0.1:{port}") });
            await Eventually.TrueAsync(async () =>
            {
                try
                {
                    using var answer = await client.GetAsync("http://origin.example/a");
                    return answer.StatusCode == HttpStatusCode.BadGateway;
                }
                catch (HttpRequestException)
                {
                    return false;
                }
            });
            Assert.Equal("502", (await SpanAsync(s => s["url.path"] == "/a"))["http.response.status_code"]);
            await Eventually.TrueAsync(() => Task.FromResult(_collector.Points("http.server.request.duration").Any()));
        }
        finally
        {
            process.Kill();
            await process.WaitForExitAsync();
            Directory.Delete(directory, recursive: true);
        }
    }

    [Theory]
    [InlineData("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318", "OTEL_EXPORTER_OTLP_ENDPOINT is no http or https URL")]
    [InlineData("OTEL_EXPORTER_OTLP_HEADERS", "key", "OTEL_EXPORTER_OTLP_HEADERS is no list of name=value")]
    [InlineData("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "10s", "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT is no number of milliseconds")]
    [InlineData("OTEL_EXPORTER_OTLP_METRICS_HEADERS", "a b=c", "OTEL_EXPORTER_OTLP_METRICS_HEADERS is no list of name=value: write it as ")]
    [InlineData("OTEL_EXPORTER_OTLP_HEADERS", "a=b%0ac", "OTEL_EXPORTER_OTLP_HEADERS is no list of name=value: write it as ")]
    [InlineData("OTEL_TRACES_EXPORTER", "console", "OTEL_TRACES_EXPORTER is neither otlp nor none")]
    [InlineData("OTEL_TRACES_SAMPLER", "some", "OTEL_TRACES_SAMPLER is none of always_on, always_off, ")]
    [InlineData("OTEL_METRIC_EXPORT_INTERVAL", "1m", "OTEL_METRIC_EXPORT_INTERVAL is no whole number above 0")]
    [InlineData("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "4096", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE is more than OTEL_BSP_MAX_QUEUE_SIZE")]
    [InlineData("OTEL_EXPORTER_OTLP_ENDPOINT", "https://", "OTEL_EXPORTER_OTLP_ENDPOINT is no http or https URL: write it as http://collector:4318")]
    [InlineData("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json", "OTEL_EXPORTER_OTLP_PROTOCOL is neither http/protobuf nor grpc")]
    public async Task A_variable_that_cannot_be_used_is_named_and_requests_pass_all_the_same(string variable, string value, string line)
    {
        var proxy = await StartAsync((variable, value));
        using var client = proxy.Client();
        Assert.Equal("twelve bytes", await client.GetStringAsync($"{_origin.Http}/a"));
        await Eventually.TrueAsync(async () => (await File.ReadAllTextAsync(proxy.LogFile)).Contains(line, StringComparison.Ordinal));
        Assert.Single(await File.ReadAllLinesAsync(proxy.LogFile), l => l.Contains("telemetry off", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_collector_that_refuses_is_told_of_once_and_holds_nothing_up()
    {
        _collector.Status = 401;
        var proxy = await StartAsync();
        using var client = proxy.Client();
        for (var i = 0; i < 5; i++)
        {
            Assert.Equal("twelve bytes", await client.GetStringAsync($"{_origin.Http}/{i}"));
            var heard = _collector.Paths.Count();
            await Eventually.TrueAsync(() => Task.FromResult(_collector.Paths.Count() > heard));
        }

        await Eventually.TrueAsync(async () => (await File.ReadAllTextAsync(proxy.LogFile)).Contains("collector=127.0.0.3:", StringComparison.Ordinal));
        Assert.Equal(1, (await File.ReadAllLinesAsync(proxy.LogFile)).Count(l => l.Contains("telemetry not exported", StringComparison.Ordinal)));
    }

    private async Task<RunningProxy> StartAsync(params (string Name, string Value)[] variables)
    {
        var environment = _collector.Variables();
        foreach (var (name, value) in variables)
            environment[name] = value;
        _proxy = await RunningProxy.StartAsync("""
            allowlist: {enabled: true, domains: [localhost], ips: [127.0.0.1]}
            cache: {dir: "{DIR}/cache", rules: [{host: localhost, pattern: "^/cached", mode: immutable}]}
            """, variables: environment);
        _origin = await TestOrigin.StartAsync(_proxy.Upstreams.Issue(["localhost"]), async context =>
        {
            _arrived.Enqueue((context.Request.Headers.TraceParent.ToString(), context.Request.Headers.TraceState.ToString()));
            context.Response.StatusCode = context.Request.Path == "/fails" ? 503 : 200;
            await context.Request.Body.CopyToAsync(Stream.Null);
            await context.Response.WriteAsync("twelve bytes");
        });
        return _proxy;
    }

    private async Task<TestCollector.Span> SpanAsync(Func<TestCollector.Span, bool> wanted)
    {
        TestCollector.Span? span = null;
        await Eventually.TrueAsync(() => Task.FromResult((span = _collector.Spans.FirstOrDefault(wanted)) is not null));
        return span!;
    }
}
