using System.CommandLine;
using System.Text.Json;
using System.Text.RegularExpressions;
using Discobot.Tests.Fixtures;
using Microsoft.AspNetCore.Http;

namespace Discobot.Features.CommandLine.Commands;

public sealed class CacheContentsCommandTests : IAsyncLifetime, IDisposable
{
    private readonly TestAuthority _authority = new();
    private TestOrigin _origin = null!;
    private RunningProxy _proxy = null!;

    public async Task InitializeAsync()
    {
        _origin = await TestOrigin.StartAsync(_authority.Issue(["localhost"]), context =>
        {
            context.Response.Headers.CacheControl = "max-age=3600";
            return context.Response.WriteAsync(new string('x', 1 << 20));
        });
        _proxy = await RunningProxy.StartAsync("cache: {dir: '{DIR}/cache', rules: [{pattern: ^/docs/, mode: revalidate}]}\napi: {token_file: '{DIR}/token', protect: none}");
        using var client = _proxy.Client();
        foreach (var name in (string[])["b", "a", "c"])
            await client.GetStringAsync($"{_origin.Http}/docs/{name}");
    }

    public async Task DisposeAsync()
    {
        await _proxy.DisposeAsync();
        await _origin.DisposeAsync();
    }

    public void Dispose() => _authority.Dispose();

    [Fact]
    public async Task People_read_a_table_and_scripts_JSON()
    {
        var table = (await RunAsync(0, "list", "--sort", "key")).TrimEnd('\n').Split('\n');
        Assert.Equal("       SIZE    AGE   USED  FRESH      RULE       ADDRESS", table[0]);
        Assert.Equal(["a", "b", "c"], table[1..].Select(line => line[^1..]));
        Assert.All(table[1..], line => Assert.Matches(@"^    1\.0 MiB +\d+s +\d+s  for \w+ +\^/docs/    http://localhost:\d+/docs/.$", line));
        Assert.Single(await JsonAsync("list", "*/docs/b"));
        Assert.Equal(2, (await JsonAsync("list", "-n", "2")).Length);
        Assert.Empty(await JsonAsync("list", "nothing"));
        Assert.EndsWith("/docs/c", (await JsonAsync("list", "--sort", "used"))[0].GetProperty("key").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task One_entry_is_shown_with_its_fields()
    {
        var text = await RunAsync(0, "show", $"{_origin.Http}/docs/a");
        Assert.Matches(new Regex(@"^address  http://localhost:\d+/docs/a\nfile     [0-9a-f]{64}\nbody     1\.0 MiB, sha256:[0-9a-f]{64}, shared by 3 records\nstored   .*Z\n"
            + @"used     .*Z\nrule     \^/docs/, for \w+\nstatus   200\n"), text);
        Assert.Contains("\n  Cache-Control: max-age=3600\n", text, StringComparison.Ordinal);
        Assert.Equal("", await RunAsync(1, "show", "a.test/b"));
    }

    [Fact]
    public async Task What_matches_is_evicted_after_a_look_at_how_much_that_is()
    {
        Assert.Equal("3 entries, 1.0 MiB would be evicted.\n", await RunAsync(0, "evict", "*/docs/?", "--dry-run"));
        Assert.Equal("1 entry, 0 bytes evicted.\n", await RunAsync(0, "evict", "*/docs/a"));
        Assert.Equal("0 entries, 0 bytes evicted.\n", await RunAsync(0, "evict", "*/docs/a"));
        Assert.Equal("2 entries, 1.0 MiB evicted.\n", await RunAsync(0, "evict", "*"));
        Assert.Equal("[\n]\n", await RunAsync(0, "list", "--json"));
    }

    private async Task<JsonElement[]> JsonAsync(params string[] arguments)
    {
        using var document = JsonDocument.Parse(await RunAsync(0, [.. arguments, "--json"]));
        return [.. document.RootElement.EnumerateArray().Select(e => e.Clone())];
    }

    private async Task<string> RunAsync(int exitCode, params string[] arguments)
    {
        using var output = new StringWriter();
        using var error = new StringWriter();
        string[] all = ["cache", .. arguments, "--api", $"http://127.0.0.1:{_proxy.ApiPort}"];
        var code = await RootCommands.Create().Parse(all).InvokeAsync(new InvocationConfiguration { Output = output, Error = error });
        Assert.True(exitCode == code, $"{code}: {output}{error}");
        return output.ToString();
    }
}
