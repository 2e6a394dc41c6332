using System.CommandLine;
using System.Text.Json;
using Discobot.Tests.Fixtures;

namespace Discobot.Features.CommandLine.Commands;

public sealed class AuditCommandTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("discobot-test-").FullName;

    private string Log => Path.Combine(_directory, "audit.jsonl");

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Fact]
    public async Task People_read_a_line_for_each_flow_the_oldest_first_also_of_files_that_were_renamed()
    {
        File.WriteAllLines(Log + ".2", [Line("1", "old.example")]);
        File.WriteAllLines(Log + ".1", [Line("2", "middle.example", cache: "hit")]);
        File.WriteAllLines(Log, [Line("3", "new.example", status: 403, verdict: "blocked"), """{"time":"2026-01-31T12:00:00.000Z","dropped":7}""", "{\"time\":\"half a li"]);

        Assert.Equal(
            """
            2026-01-31 12:00:00.123 200     GET     https://old.example/p?q  17 B  12ms  curl  1
            2026-01-31 12:00:00.123 200     GET     https://middle.example/p?q  17 B  12ms  hit  curl  2
            2026-01-31 12:00:00.123 403     GET     https://new.example/p?q  17 B  12ms  rule default  blocked  curl  3
            7 flows are missing here: they came faster than they could be written

            """, await RunAsync());
    }

    [Theory]
    [InlineData("--host *.example", "1 2")]
    [InlineData("--host old.example", "1")]
    [InlineData("--status 4xx", "2")]
    [InlineData("--status 403", "2")]
    [InlineData("--status 5xx", "")]
    [InlineData("--blocked", "2")]
    [InlineData("--since 2026-01-31T12:00:00Z", "1 2 3")]
    [InlineData("--since 1h", "")]
    public async Task Some_of_it_can_be_chosen(string options, string ids)
    {
        File.WriteAllLines(Log, [Line("1", "old.example"), Line("2", "new.example", status: 403, verdict: "blocked"), Line("3", "other.test")]);
        var lines = (await RunAsync([.. options.Split(' '), "--json"])).Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(ids, string.Join(' ', lines.Select(l => JsonElement.Parse(l).GetProperty("id").GetString())));
    }

    [Fact]
    public async Task The_summary_counts_each_host()
    {
        File.WriteAllLines(Log, [Line("1", "b.example", cache: "hit"), Line("2", "b.example"), Line("3", "a.example", status: 403, verdict: "blocked")]);
        Assert.Equal(
            """
            requests  blocked        sent    received  cache  host
                   2        0        10 B        24 B    50%  b.example
                   1        1         5 B        12 B     0%  a.example
                   3        1        15 B        36 B    33%  all of 2 hosts

            """, await RunAsync("summary"));
        var json = JsonElement.Parse(await RunAsync("summary", "--json"));
        Assert.Equal(("b.example", 2), (json[0].GetProperty("host").GetString(), json[0].GetProperty("requests").GetInt32()));
    }

    [Fact]
    public async Task Nothing_in_it_reaches_a_terminal_as_a_command()
    {
        File.WriteAllLines(Log, [Line("1", "\\u001b[2Jevil\\u202e.example\\u009b2J")]);
        Assert.Contains("https://?[2Jevil?.example?2J/p", await RunAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task It_follows_what_is_written_also_over_a_rotation()
    {
        File.WriteAllLines(Log, [Line("1", "a.example")]);
        using var output = new StringWriter();
        using var stop = new CancellationTokenSource();
        var text = TextWriter.Synchronized(output);
        var following = RootCommands.Create().Parse(["audit", "--follow", "--json", "--file", Log]).InvokeAsync(new InvocationConfiguration { Output = text }, stop.Token);
        await SeenAsync(output, "1");
        File.AppendAllText(Log, Line("2", "a.example") + "\n" + Line("3", "a.example")[..20]);
        await SeenAsync(output, "2");
        File.AppendAllText(Log, Line("3", "a.example")[20..] + "\n");
        File.Move(Log, Log + ".1");
        await SeenAsync(output, "3");
        File.WriteAllLines(Log, [Line("4", "a.example")]);
        await SeenAsync(output, "4");
        await stop.CancelAsync();
        await following;
        Assert.Equal(4, output.ToString().Split('\n', StringSplitOptions.RemoveEmptyEntries).Length);
    }

    [Fact]
    public async Task Where_there_is_none_or_a_wrong_option_it_says_what_to_do()
    {
        Assert.Contains($"there is no audit log at {Log}", await FailAsync(1), StringComparison.Ordinal);
        Assert.Contains("--status must be a status as 404, or 4xx, not \"bad\"", await FailAsync(2, "--status", "bad"), StringComparison.Ordinal);
        Assert.Contains("--since must be a time", await FailAsync(2, "--since", "yesterday"), StringComparison.Ordinal);
    }

    private static Task SeenAsync(StringWriter output, string id) =>
        Eventually.TrueAsync(() => Task.FromResult(output.ToString().Contains($"\"id\":\"{id}\"", StringComparison.Ordinal)));

    private static string Line(string id, string host, int status = 200, string verdict = "allowed", string cache = "none") =>
        $$"""{"time":"2026-01-31T12:00:00.123Z","id":"{{id}}","client":{"address":"127.0.0.1:1","uid":0,"pid":7,"program":"/usr/bin/curl"},"entry":"connect","method":"GET","scheme":"https","host":"{{host}}","port":443,"path":"/p","query":["q"],"protocol":"h1","status":{{status}},"request_bytes":5,"response_bytes":12,"duration_ms":12.3,"cache":"{{cache}}","verdict":"{{verdict}}","rule":"default",{{(verdict == "allowed" ? "" : "\"error\":\"blocked\",")}}"complete":true}""";

    private async Task<string> RunAsync(params string[] arguments)
    {
        using var output = new StringWriter();
        Assert.Equal(0, await RootCommands.RunAsync(RootCommands.Create(), ["audit", .. arguments, "--file", Log], new InvocationConfiguration { Output = output }));
        return output.ToString();
    }

    private async Task<string> FailAsync(int code, params string[] arguments)
    {
        using var error = new StringWriter();
        Assert.Equal(code, await RootCommands.RunAsync(RootCommands.Create(), ["audit", .. arguments, "--file", Log], new InvocationConfiguration { Error = error }));
        return error.ToString();
    }
}
