using System.Diagnostics;
using System.Net;
using System.Net.NetworkInformation;
using System.Text;
using System.Text.Json;
using Discobot.Features.Configuration;
using Discobot.Infrastructure;
using Discobot.Infrastructure.Config;
using Discobot.Tests.Fixtures;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Time.Testing;

namespace Discobot.Features.Limits;

public sealed class LimitsTests : IAsyncLifetime
{
    private readonly List<HttpClient> _clients = [];
    private RunningProxy _proxy = null!;
    private TestOrigin _origin = null!;
    private int _asked;

    public async Task InitializeAsync()
    {
        _proxy = await RunningProxy.StartAsync();
        _origin = await TestOrigin.StartAsync(_proxy.Upstreams.Issue(["localhost"]), async context =>
        {
            await context.Request.Body.CopyToAsync(Stream.Null);
            Interlocked.Increment(ref _asked);
            await context.Response.WriteAsync("an answer of 23 bytes..");
        });
    }

    public async Task DisposeAsync()
    {
        _clients.ForEach(client => client.Dispose());
        await _origin.DisposeAsync();
        await _proxy.DisposeAsync();
    }

    [Theory]
    [InlineData("1.1")]
    [InlineData("2.0")]
    public async Task More_requests_than_a_second_may_have_are_429_with_the_reason_and_when_to_ask_again(string version)
    {
        Limit("localhost: {requests_per_second: 1}");
        var answers = await Task.WhenAll(Enumerable.Range(0, 40).Select(_ => AskAsync(version)));
        Assert.Contains(answers, answer => answer.StatusCode == HttpStatusCode.OK);
        var refused = answers.First(answer => answer.StatusCode == HttpStatusCode.TooManyRequests);
        Assert.Equal("limited", Assert.Single(refused.Headers.GetValues("X-Discobot-Error")));
        Assert.Equal(TimeSpan.FromSeconds(1), refused.Headers.RetryAfter?.Delta);
        Assert.Contains("allows 1 requests a second to a client", await refused.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        Assert.Equal(answers.Count(answer => answer.StatusCode == HttpStatusCode.OK), _asked);
        await AssertToldAsync("requests", "limited");
    }

    [Fact]
    public async Task More_bytes_than_a_day_may_have_are_429_until_the_next()
    {
        Limit("localhost: {bytes_per_day: 30}");
        HttpResponseMessage answer = null!;
        // What a request takes is counted when it is over.
        await Eventually.TrueAsync(async () => (answer = await AskAsync("1.1")).StatusCode == HttpStatusCode.TooManyRequests);
        Assert.True(_asked >= 2);
        Assert.InRange(answer.Headers.RetryAfter!.Delta!.Value, TimeSpan.FromSeconds(1), TimeSpan.FromDays(1));
        await AssertToldAsync("bytes", "limited");
        Limit("other.example: {bytes_per_day: 30}");
        Assert.Equal(HttpStatusCode.OK, (await AskAsync("1.1")).StatusCode);
    }

    [Theory]
    [InlineData("1.1", true)]
    [InlineData("1.1", false)]
    [InlineData("2.0", true)]
    [InlineData("2.0", false)]
    public async Task A_body_that_is_too_large_is_413_also_where_its_length_is_not_said(string version, bool says)
    {
        Limit("localhost: {upload_size: 10}");
        using var small = await AskAsync(version, new Upload(10, says));
        Assert.Equal(HttpStatusCode.OK, small.StatusCode);
        using var large = await AskAsync(version, new Upload(11, says));
        Assert.Equal(HttpStatusCode.RequestEntityTooLarge, large.StatusCode);
        Assert.Equal("upload_too_large", Assert.Single(large.Headers.GetValues("X-Discobot-Error")));
        await AssertToldAsync("upload", "upload_too_large");
    }

    [Fact]
    public async Task Curl_says_why()
    {
        Limit("localhost: {upload_size: 4}");
        var start = new ProcessStartInfo("curl", ["-sS", "--cacert", Path.Combine(Path.GetDirectoryName(_proxy.LogFile)!, "certs", "ca.crt"), "-x", $"http://127.0.0.1:{_proxy.Port}", "-d", "12345", _origin.Https])
        {
            RedirectStandardOutput = true,
        };
        using var curl = Process.Start(start)!;
        Assert.Contains("allows bodies of at most 4B to be sent there", await curl.StandardOutput.ReadToEndAsync(), StringComparison.Ordinal);
        await curl.WaitForExitAsync();
        Assert.Equal(0, _asked);
    }

    [Fact]
    public void Each_client_has_its_own_share_which_fills_with_time()
    {
        var time = new FakeTimeProvider(new DateTimeOffset(2026, 1, 1, 23, 0, 0, TimeSpan.Zero));
        var (usage, limit) = (new ClientUsage(time), Read("a.example: {requests_per_second: 2, bytes_per_day: 10}").Hosts[0]);
        var (one, two) = (IPAddress.Parse("10.0.0.1"), IPAddress.Parse("10.0.0.2"));
        Assert.Null(usage.Request(limit, one));
        Assert.Null(usage.Request(limit, one.MapToIPv6()));
        Assert.Equal(TimeSpan.FromSeconds(0.5), usage.Request(limit, one));
        Assert.Null(usage.Request(limit, two));
        time.Advance(TimeSpan.FromSeconds(0.5));
        Assert.Null(usage.Request(limit, one));
        Assert.NotNull(usage.Request(limit, one));

        usage.Count(limit, one, 10);
        Assert.Equal(TimeSpan.FromHours(1) - TimeSpan.FromSeconds(0.5), usage.Exhausted(limit, one));
        Assert.Null(usage.Exhausted(limit, two));
        time.Advance(TimeSpan.FromHours(1));
        Assert.Null(usage.Exhausted(limit, one));
    }

    [Fact]
    public void In_a_container_all_are_one_client_and_elsewhere_all_of_the_machine_whichever_of_its_addresses_they_choose()
    {
        var (usage, limit) = (new ClientUsage(new FakeTimeProvider()), Read("a.example: {requests_per_second: 1, bytes_per_day: 10}").Hosts[0]);
        Assert.Null(usage.Request(limit, IPAddress.Loopback));
        usage.Count(limit, IPAddress.Parse("127.0.0.2"), 10);
        var own = NetworkInterface.GetAllNetworkInterfaces().SelectMany(i => i.GetIPProperties().UnicastAddresses).Select(a => $"{a.Address}").Where(a => !a.Contains('%'));
        foreach (var address in (string[])["127.0.0.1", "127.0.0.2", "127.255.255.254", "::1", "::ffff:127.0.0.3", .. own])
        {
            Assert.NotNull(usage.Request(limit, IPAddress.Parse(address)));
            Assert.NotNull(usage.Exhausted(limit, IPAddress.Parse(address)));
        }

        // Documentation's, so nobody's here.
        Assert.Null(usage.Request(limit, IPAddress.Parse("203.0.113.1")));

        usage = new ClientUsage(new FakeTimeProvider(), isContainers: true);
        Assert.Null(usage.Request(limit, IPAddress.Loopback));
        Assert.NotNull(usage.Request(limit, IPAddress.Parse("172.17.0.2")));
    }

    [Fact]
    public void Clients_beyond_those_that_are_counted_share_one_share()
    {
        var (usage, limit) = (new ClientUsage(new FakeTimeProvider()), Read("a.example: {requests_per_second: 1}").Hosts[0]);
        for (var i = 0; i < 4096; i++)
            Assert.Null(usage.Request(limit, new IPAddress((i + 1L) << 8)));
        Assert.Null(usage.Request(limit, new IPAddress(5000L << 8)));
        Assert.NotNull(usage.Request(limit, new IPAddress(5001L << 8)));
    }

    [Fact]
    public void The_most_specific_pattern_counts()
    {
        var rules = new LimitRules(Read("\"*\": {upload_size: 1}, \"*.example.com\": {upload_size: 2}, a.example.com: {upload_size: 3}"));
        Assert.Equal([3, 2, 1], ((string[])["A.example.com", "b.example.com", "example.com"]).Select(host => rules.Find(host)!.UploadSize));
    }

    [Theory]
    [InlineData("a.example: {}", "must say what is limited: requests_per_second, bytes_per_day or upload_size")]
    [InlineData("a.example: {requests_per_second: 0}", "must be a whole number from 1 to 1000000")]
    [InlineData("a.example: {bytes_per_day: much}", "must be a size")]
    [InlineData("a.example: {upload: 1}", "unknown key")]
    [InlineData("a.example: {upload_size: 1}, A.example: {upload_size: 2}", "names the same hosts as")]
    public void Mistakes_are_told_with_their_place(string limits, string error) => Assert.Contains(
        error, SettingsSources.Of(null, new Dictionary<string, string>()).Load(ConfigDocument.Parse($"limits: {{{limits}}}", "c.yaml")).ErrorText(), StringComparison.Ordinal);

    private static LimitOptions Read(string limits) =>
        SettingsSources.Of(null, new Dictionary<string, string>()).Load(ConfigDocument.Parse($"limits: {{{limits}}}", "c.yaml")).Value!.Limits;

    // As a change of the file while the proxy runs.
    private void Limit(string limits)
    {
        var settings = _proxy.Services.GetRequiredService<Live<ProxySettings>>();
        settings.Replace(RestartKeys.Merge(settings.Value, settings.Value with { Limits = Read(limits) }));
    }

    private async Task<HttpResponseMessage> AskAsync(string version, HttpContent? body = null)
    {
        HttpClient client;
        lock (_clients)
            _clients.Add(client = _proxy.Client(Version.Parse(version)));
        using var request = new HttpRequestMessage(body is null ? HttpMethod.Get : HttpMethod.Put, _origin.Https) { Version = Version.Parse(version), Content = body };
        return await client.SendAsync(request);
    }

    private async Task AssertToldAsync(string kind, string error)
    {
        using var api = _proxy.Api();
        Assert.Contains($"discobot_limited_total{{kind=\"{kind}\"}}", await api.GetStringAsync("/metrics"), StringComparison.Ordinal);
        await Eventually.TrueAsync(async () => Flows(await api.GetStringAsync("/api/flows")).Any(flow =>
            flow.TryGetProperty("error", out var told) && told.GetString() == error && flow.GetProperty("rule").GetString()!.StartsWith("limits.", StringComparison.Ordinal)));
    }

    private static JsonElement.ArrayEnumerator Flows(string json)
    {
        var root = JsonDocument.Parse(json).RootElement;
        return root.ValueKind == JsonValueKind.Array ? root.EnumerateArray() : root.EnumerateObject().First(property => property.Value.ValueKind == JsonValueKind.Array).Value.EnumerateArray();
    }

    /// <summary>A body that says how long it is, or does not.</summary>
    private sealed class Upload(int length, bool says) : HttpContent
    {
        protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context) =>
            stream.WriteAsync(Encoding.ASCII.GetBytes(new string('x', length))).AsTask();

        protected override bool TryComputeLength(out long computed)
        {
            computed = length;
            return says;
        }
    }
}
