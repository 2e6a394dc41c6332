using System.CommandLine;
using System.Text.Json;

namespace Discobot.Features.CommandLine.Policies;

public sealed class PolicyCommandTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("discobot-test-").FullName;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Fact]
    public async Task A_table_of_requests_is_tried_and_each_that_is_not_as_expected_is_told_with_its_line()
    {
        var config = Write("config.yaml", "allowlist: {enabled: true, domains: [{host: pypi.org, methods: [GET]}, git.example], deny: [{host: git.example, paths: [/secret/**]}]}");
        var table = Write("table", """
            # what pip needs
            allow GET https://pypi.org/simple/?x=1
            block POST https://pypi.org/simple/

            allow CONNECT git.example:443
            block GET http://git.example/secret/x
            allow PUT https://elsewhere.example/
            """);
        var (code, output, _) = await RunAsync("test", table, "--config", config);
        Assert.Equal(1, code);
        Assert.Equal($"""
            {table}:5: CONNECT git.example:443 is blocked by deny {"{"}host: "git.example", paths: ["/secret/**"]{"}"}: git.example is denied by the entry {"{"}host: "git.example", paths: ["/secret/**"]{"}"} of allowlist.deny, which counts before every entry that allows.
            {table}:7: PUT https://elsewhere.example/ is blocked by default: elsewhere.example is not in allowlist.domains; the entry "elsewhere.example" there would allow it.
            5 requests, 2 not as expected

            """, output);
        (code, output, _) = await RunAsync("test", Write("good", "allow GET https://pypi.org/\nblock GET http://x.example/\n"), "--config", config);
        Assert.Equal((0, "2 requests, all as expected\n"), (code, output));
    }

    [Fact]
    public async Task A_program_reads_what_is_not_as_expected_and_what_differs()
    {
        var (old, next) = (Write("old.yaml", "allowlist: {enabled: true, domains: [a.example]}"), Write("new.yaml", "allowlist: {enabled: true, domains: [b.example]}"));
        var table = Write("table", "allow GET https://a.example/\n\nblock GET https://a.example/x\nallow CONNECT b.example:443\n");
        var (code, output, _) = await RunAsync("test", table, "--config", old, "--json");
        Assert.Equal(1, code);
        var told = JsonDocument.Parse(output).RootElement;
        Assert.Equal((table, false, 3), (told.GetProperty("file").GetString(), told.GetProperty("ok").GetBoolean(), told.GetProperty("requests").GetInt32()));
        Assert.Equal(
            ["3 GET https://a.example/x allow \"a.example\" ", "4 CONNECT b.example:443 block default b.example is not in allowlist.domains; the entry \"b.example\" there would allow it."],
            told.GetProperty("unexpected").EnumerateArray().Select(u => string.Join(' ', ((string[])["line", "request", "verdict", "rule", "reason"]).Select(name => u.TryGetProperty(name, out var value) ? value.ToString() : ""))));

        (code, output, _) = await RunAsync("diff", old, next, "--json");
        Assert.Equal((1, "{\"removed\":[\"allow \\\"a.example\\\"\"],\"added\":[\"allow \\\"b.example\\\"\"],\"same\":false}"), (code, Compact(output)));
        Assert.Equal((0, "{\"removed\":[],\"added\":[],\"same\":true}"), (await RunAsync("diff", old, old, "--json")) is var (same, text, _) ? (same, Compact(text)) : default);
    }

    [Theory]
    [InlineData("permit GET https://a.example/")]
    [InlineData("allow GET a.example")]
    [InlineData("allow CONNECT a.example")]
    public async Task A_line_that_says_nothing_is_a_mistake(string line)
    {
        var (code, _, error) = await RunAsync("test", Write("table", line), "--config", Write("config.yaml", "{}"));
        Assert.Equal(2, code);
        Assert.Contains("table:1: must be \"allow METHOD URL\"", error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_two_configurations_let_out_differently_is_told_entry_by_entry()
    {
        var old = Write("old.yaml", "allowlist: {enabled: true, domains: [a.example, b.example]}");
        var next = Write("new.yaml", "allowlist: {enabled: true, domains: [b.example, {host: a.example, methods: [GET]}], deny: [c.example], ips: [10.0.0.0/8]}");
        var (code, output, _) = await RunAsync("diff", old, next);
        Assert.Equal((1, "- allow \"a.example\"\n+ allow {host: \"a.example\", methods: [GET]}\n+ allow 10.0.0.0/8\n+ deny \"c.example\"\n"), (code, output));
        Assert.Equal((0, "", ""), await RunAsync("diff", old, old));
        Assert.Equal(2, (await RunAsync("diff", old, Write("bad.yaml", "allowlist: 1"))).Code);
    }

    private static string Compact(string json) => string.Concat(json.Where(c => c is not '\n')).Replace("  ", "", StringComparison.Ordinal).Replace("\": ", "\":", StringComparison.Ordinal);

    private string Write(string name, string text)
    {
        var path = Path.Combine(_directory, name);
        File.WriteAllText(path, text);
        return path;
    }

    private static async Task<(int Code, string Output, string Error)> RunAsync(params string[] arguments)
    {
        using var output = new StringWriter();
        using var error = new StringWriter();
        var code = await RootCommands.RunAsync(RootCommands.Create(), ["policy", .. arguments], new InvocationConfiguration { Output = output, Error = error });
        return (code, output.ToString(), error.ToString());
    }
}
