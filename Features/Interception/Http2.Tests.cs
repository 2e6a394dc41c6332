using System.Diagnostics;
using System.Net;
using System.Security.Cryptography.X509Certificates;
using Discobot.Tests.Fixtures;

namespace Discobot.Features.Interception;

/// <summary>HTTP/2 clients that do not play by the rules: the corpus of <c>Http2.Tests</c>, and floods.</summary>
public sealed class Http2Tests(SmugglingTests.Proxy fixture) : IClassFixture<SmugglingTests.Proxy>
{
    private static readonly Dictionary<string, HttpCase> Cases = HttpCase.Load("Features/Interception/Http2.Tests", "\n").ToDictionary(c => c.Name);

    public static TheoryData<string> All() => [.. Cases.Keys];

    [Theory]
    [MemberData(nameof(All))]
    public async Task Nothing_is_smuggled(string name)
    {
        await using var origin = RawOrigin.Start(fixture.Certificate);
        var host = $"localhost:{origin.Port}";
        await using var client = await RawHttp2.OpenAsync(fixture.Running, host);
        var lines = Cases[name].Text.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        var fields = lines.Where(l => l[0] != '>').Select(l => l.Split(" =", 2)).Select(p => (Plain(p[0], host), Plain(p[1], host).TrimStart()));
        var body = lines.FirstOrDefault(l => l[0] == '>') is { } data ? System.Text.Encoding.Latin1.GetBytes(Plain(data[2..], host)) : null;

        await client.SendAsync(RawHttp2.Headers, RawHttp2.EndHeaders | (body is null ? RawHttp2.EndStream : 0), 1, RawHttp2.Fields(fields));
        if (body is not null)
            await client.SendAsync(RawHttp2.Data, RawHttp2.EndStream, 1, body);
        var outcome = await client.OutcomeAsync(1);

        Assert.Contains(outcome, Cases[name].Expected.Split('|'));
        Assert.Empty(origin.Garbage);
        Assert.InRange(origin.Heads.Count, outcome == "200" ? 1 : 0, body is null && outcome != "200" ? 0 : 1);
        Assert.All(origin.Heads, head =>
        {
            SmugglingTests.AssertIsOneRequest(head, host);
            Assert.DoesNotContain("evil", head, StringComparison.OrdinalIgnoreCase);
        });
    }

    [Theory]
    [InlineData(201, 10)]
    [InlineData(1, 70_000)]
    public async Task Too_many_fields_and_too_large_ones_are_refused(int count, int size)
    {
        await using var origin = RawOrigin.Start(fixture.Certificate);
        var host = $"localhost:{origin.Port}";
        await using var client = await RawHttp2.OpenAsync(fixture.Running, host);
        var block = RawHttp2.Fields([.. Request(host), .. Enumerable.Range(0, count).Select(i => ($"x-{i}", new string('a', size)))]);
        var frames = block.Chunk(16_000).Select((part, i) => RawHttp2.Frame(
            i == 0 ? RawHttp2.Headers : RawHttp2.Continuation,
            (i == 0 ? RawHttp2.EndStream : 0) | ((i + 1) * 16_000 >= block.Length ? RawHttp2.EndHeaders : 0),
            1, part));
        await client.SendAsync([.. frames.SelectMany(f => f)]);

        // "closed" too: with bytes still unread the kernel sends a reset, which may overtake the GOAWAY.
        Assert.Contains(await client.OutcomeAsync(1), (string[])["431", "goaway", "reset", "closed"]);
        Assert.Empty(origin.Heads);
        await AssertServesAsync();
    }

    [Fact]
    public async Task Endless_continuations_end_the_connection()
    {
        await using var proxy = await RunningProxy.StartAsync(proxySection: ", read_timeout: 1s");
        await using var client = await RawHttp2.OpenAsync(proxy, "localhost:443");
        await client.SendAsync(RawHttp2.Headers, 0, 1, RawHttp2.Fields(Request("localhost:443")));
        // Empty ones never exceed a size; the time for a head is their limit.
        var flood = FloodAsync(client, _ => RawHttp2.Frame(RawHttp2.Continuation, 0, 1, []), 100_000);

        Assert.Contains(await client.OutcomeAsync(1), (string[])["431", "goaway", "closed"]);
        await flood;
        await AssertServesAsync();
    }

    [Fact]
    public async Task Streams_beyond_the_limit_are_refused()
    {
        await using var client = await RawHttp2.OpenAsync(fixture.Running, "localhost:443");
        var (host, streams) = ("localhost:443", 400);
        // Uploads that never end, so that they stay open.
        await client.SendAsync([.. Enumerable.Range(0, streams).SelectMany(i =>
            RawHttp2.Frame(RawHttp2.Headers, RawHttp2.EndHeaders, 2 * i + 1, RawHttp2.Fields(Request(host, "POST"))))]);

        Assert.Contains(await client.OutcomeAsync(2 * streams - 1), (string[])["reset", "goaway"]);
        await AssertServesAsync();
    }

    [Fact]
    public async Task Rapid_resets_end_the_connection_and_cost_little()
    {
        await using var origin = RawOrigin.Start(fixture.Certificate);
        var host = $"localhost:{origin.Port}";
        await AssertServesAsync();
        var before = Memory();
        await using var client = await RawHttp2.OpenAsync(fixture.Running, host);
        var request = RawHttp2.Fields(Request(host));
        var flood = FloodAsync(client, i =>
            [.. RawHttp2.Frame(RawHttp2.Headers, RawHttp2.EndHeaders | RawHttp2.EndStream, 2 * i + 1, request), .. RawHttp2.Frame(RawHttp2.ResetStream, 0, 2 * i + 1, [0, 0, 0, 8])], 50_000);
        var watch = Stopwatch.StartNew();
        await AssertServesAsync();

        Assert.InRange(watch.Elapsed.TotalSeconds, 0, 10);
        var ended = await EndedAsync(client).WaitAsync(TimeSpan.FromSeconds(30));
        await flood;
        Assert.Contains(ended, (string[])["goaway", "closed"]);
        Assert.InRange(Memory() - before, long.MinValue, 48 << 20);
        await AssertServesAsync();
    }

    private static IEnumerable<(string, string)> Request(string host, string method = "GET") =>
        [(":method", method), (":scheme", "https"), (":authority", host), (":path", "/")];

    private static string Plain(string text, string host) => System.Text.Encoding.Latin1.GetString(HttpCase.ToBytes(text, host, ""));

    private static long Memory() => GC.GetTotalMemory(forceFullCollection: true);

    private static async Task FloodAsync(RawHttp2 client, Func<int, byte[]> frames, int count)
    {
        try
        {
            for (var i = 0; i < count; i += 100)
                await client.SendAsync([.. Enumerable.Range(i, 100).SelectMany(n => frames(n))]);
        }
        catch (IOException)
        {
            // Thrown out.
        }
    }

    private static async Task<string> EndedAsync(RawHttp2 client)
    {
        while (await client.ReadAsync(CancellationToken.None) is { } frame)
        {
            if (frame.Type == RawHttp2.GoAway)
                return "goaway";
        }

        return "closed";
    }

    private async Task AssertServesAsync()
    {
        await using var origin = RawOrigin.Start(fixture.Certificate);
        using var client = fixture.Running.Client(HttpVersion.Version20);
        Assert.Equal("ok", await client.GetStringAsync(new Uri($"https://localhost:{origin.Port}/")));
    }
}
