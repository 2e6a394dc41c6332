using System.Net;
using System.Text.Json;
using Discobot.Infrastructure.Hosts;
using Microsoft.Extensions.Logging.Abstractions;

namespace Discobot.Features.Allowlist.Learning;

public sealed class LearnedFileTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("discobot-test-").FullName;

    private string File => Path.Combine(_directory, "learned.json");

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Fact]
    public async Task What_was_learned_survives_a_restart_and_a_crash_a_second_later()
    {
        var learned = new LearnedTraffic();
        using var file = await StartAsync(learned);
        Record(learned, "a.example", "GET", "/one");
        learned.RecordBlindTunnel(Host("b.example"));
        learned.RecordTunnel(Host("c.example"));
        learned.RecordAddress(IPAddress.Parse("10.0.0.7"));
        Record(learned, "a.example", "PUT", "/" + new string('x', 3_000));
        await Tests.Fixtures.Eventually.TrueAsync(() => Task.FromResult(System.IO.File.Exists(File) && Read() == Text(learned)));

        // No stop: as after SIGKILL.
        var next = new LearnedTraffic();
        using var again = await StartAsync(next);
        Assert.Equal(Text(learned), Text(next));
        Record(next, "d.example", "GET", "/");
        await again.StopAsync(CancellationToken.None);
        Assert.Equal(Text(next), Read());
        await file.StopAsync(CancellationToken.None);
    }

    [Fact]
    public async Task Without_anything_learned_there_is_no_file()
    {
        using var file = await StartAsync(new LearnedTraffic());
        await file.StopAsync(CancellationToken.None);
        Assert.False(System.IO.File.Exists(File));
    }

    [Theory]
    [InlineData("")]
    [InlineData("{")]
    [InlineData("null")]
    [InlineData("{}")]
    [InlineData("""{"hosts": [null], "addresses": [], "incomplete": false}""")]
    [InlineData("""{"hosts": [{"host": "a b", "literal": false, "blind": false, "methods": []}], "addresses": ["x"], "incomplete": false}""")]
    public async Task A_file_of_something_else_keeps_nothing_from_starting(string text)
    {
        System.IO.File.WriteAllText(File, text);
        var learned = new LearnedTraffic();
        using var file = await StartAsync(learned);
        Assert.Empty(learned.Report().Hosts);
        Record(learned, "a.example", "GET", "/");
        await file.StopAsync(CancellationToken.None);
        Assert.Equal(Text(learned), Read());
    }

    [Fact]
    public void What_is_kept_is_bounded_and_the_policy_widens_beyond()
    {
        var learned = new LearnedTraffic();
        for (var host = 0; host < 20; host++)
        {
            for (var path = 0; path < LearnedTraffic.MaxPathsPerMethod; path++)
                Record(learned, $"h{host}.example", "GET", $"/{path}{new string('x', 1_900)}");
        }

        Assert.InRange(Text(learned).Length, LearnedTraffic.MaxText / 2, LearnedTraffic.MaxText * 2);
        Assert.True(learned.Report().Hosts[^1].Methods[0].More);
        Assert.Contains("""{host: "h19.example", methods: [GET]}""", LearnedPolicy.ToYaml(learned.Report()), StringComparison.Ordinal);
    }

    private string Read() => System.IO.File.ReadAllText(File);

    private static void Record(LearnedTraffic learned, string host, string method, string path) => learned.RecordRequest(Host(host), method, path);

    private static CanonicalHost Host(string name) => CanonicalHost.TryParse(name, out var host) ? host : throw new FormatException(name);

    private static string Text(LearnedTraffic learned) => JsonSerializer.Serialize(learned.Report(), LearnedJson.Default.LearnedReport);

    private async Task<LearnedFile> StartAsync(LearnedTraffic learned)
    {
        var file = new LearnedFile(File, learned, NullLogger<LearnedFile>.Instance);
        await file.StartAsync(CancellationToken.None);
        return file;
    }
}
