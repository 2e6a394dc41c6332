using System.CommandLine;
using System.Text.Json;
using Discobot.Tests.Fixtures;

namespace Discobot.Features.CommandLine.Commands;

public sealed class ExplainCommandTests : IAsyncLifetime
{
    private RunningProxy _proxy = null!;

    public async Task InitializeAsync() => _proxy = await RunningProxy.StartAsync("""
        allowlist: {enabled: true, domains: ["*.example.com"]}
        headers: {"a.example.com": {set: {Authorization: s3cret}, conditions: [{header: X-Env, equals: prod}]}}
        """);

    public async Task DisposeAsync() => await _proxy.DisposeAsync();

    [Fact]
    public async Task People_read_every_decision_in_a_line()
    {
        Assert.Equal(
            """
            request    PUT https://a.example.com/x
            outcome    forwarded to upstream
            host       a.example.com (TLS, inspected)
            allowlist  allowed by "*.example.com" (mode enforce)
            cache      bypass: only GET and HEAD are answered from the cache
            headers    rule a.example.com: set Authorization; if X-Env is as the rule demands
            upstream   direct; resolved and judged when dialled

            """,
            await RunAsync(0, "https://A.example.com/x", "--method", "PUT"));
        var refused = await RunAsync(0, "http://example.org/");
        Assert.Contains("outcome    blocked, 403\n", refused, StringComparison.Ordinal);
        Assert.Contains("\n           example.org is not in allowlist.domains; the entry \"example.org\" there would allow it.\n", refused, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_header_that_has_no_value_is_told_with_the_reason()
    {
        await using var proxy = await RunningProxy.StartAsync("""
            headers:
              b.example.com: {set: {Authorization: env:DISCOBOT_TEST_UNSET, X-File: file:/nonexistent/token, X-Set: here}}
              c.example.com: {set: {X-Set: here}, conditions: [{header: X-Env, equals: env:DISCOBOT_TEST_UNSET}]}
            """);
        Assert.Contains("\nheaders    rule b.example.com: set X-Set; left out Authorization (the environment variable DISCOBOT_TEST_UNSET is not set), "
            + "X-File (/nonexistent/token cannot be read)\n", await RunAsync(proxy, 0, "https://b.example.com/"), StringComparison.Ordinal);
        Assert.Contains("withheld: the condition on X-Env has no value: the environment variable DISCOBOT_TEST_UNSET is not set",
            await RunAsync(proxy, 0, "https://c.example.com/"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Scripts_read_JSON()
    {
        var json = JsonDocument.Parse(await RunAsync(0, "https://a.example.com/x", "--json")).RootElement;
        Assert.Equal("forwarded", json.GetProperty("outcome").GetString());
        Assert.True(json.GetProperty("allowlist").GetProperty("allowed").GetBoolean());
    }

    [Fact]
    public async Task What_cannot_be_asked_fails() => Assert.Equal("", await RunAsync(1, "ftp://a.example.com/"));

    private Task<string> RunAsync(int exitCode, params string[] arguments) => RunAsync(_proxy, exitCode, arguments);

    private static async Task<string> RunAsync(RunningProxy proxy, int exitCode, params string[] arguments)
    {
        using var output = new StringWriter();
        string[] all = ["explain", .. arguments, "--api", $"http://127.0.0.1:{proxy.ApiPort}"];
        Assert.Equal(exitCode, await RootCommands.Create().Parse(all).InvokeAsync(new InvocationConfiguration { Output = output }));
        return output.ToString();
    }
}
