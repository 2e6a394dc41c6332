using System.CommandLine;
using System.Net;
using System.Text.Json;
using Discobot.Features.Egress.Dns;
using Discobot.Tests.Fixtures;
using Microsoft.Extensions.DependencyInjection;

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
    public async Task What_cannot_be_asked_is_wrong_usage()
    {
        Assert.Equal("", await RunAsync(2, "ftp://a.example.com/"));
        Assert.Equal("", await RunAsync(2, "example.com"));
    }

    [Fact]
    public async Task A_connection_that_a_program_opens_by_itself_is_told_with_whom_it_is_for()
    {
        await using var proxy = await RunningProxy.StartAsync("allowlist: {enabled: true, domains: [\"*.example.com\", {host: db.example.org, ports: [5432]}], ips: [198.51.100.0/24]}", tls: ", passthrough: [pinned.example.com]");
        Assert.Equal(
            """
            connection 203.0.113.7:443, TLS for a.example.com
            host       a.example.com: the name in the TLS hello
            as TLS     a.example.com:443: each request is judged by itself, the host is allowed by "*.example.com"
            upstream   direct; resolved and judged when dialled

            """,
            await RunAsync(proxy, 0, "--transparent", "203.0.113.7:443", "--sni", "a.example.com"));
        Assert.Contains("as TLS     pinned.example.com:443: passes unopened, by \"*.example.com\"\n", await RunAsync(proxy, 0, "--transparent", "203.0.113.7:443", "--sni", "pinned.example.com"), StringComparison.Ordinal);
        var bare = await RunAsync(proxy, 0, "--transparent", "203.0.113.7:5432");
        Assert.Contains("host       203.0.113.7: the address itself\nas HTTP    each request is judged", bare, StringComparison.Ordinal);
        Assert.Contains("other      203.0.113.7:5432: refused by default\n", bare, StringComparison.Ordinal);
        Assert.Contains("other      [2001:db8::7]:443: refused by default\n", await RunAsync(proxy, 0, "--transparent", "[2001:db8::7]:443"), StringComparison.Ordinal);

        // The name that our resolver gave the address for, where nothing in the connection tells one.
        proxy.Services.GetRequiredService<LearnedNames>().Remember("db.example.org", new DnsAnswer(DnsCode.NoError, [new DnsRecord("db.example.org", DnsType.A, 60, IPAddress.Parse("203.0.113.7"), null)]));
        var learned = await RunAsync(proxy, 0, "--transparent", "203.0.113.7:5432");
        Assert.Contains("host       db.example.org: the name that our resolver last gave this address for\n", learned, StringComparison.Ordinal);
        Assert.Contains("other      db.example.org:5432: passes unopened, by {host: \"db.example.org\", ports: [5432]}\n", learned, StringComparison.Ordinal);
        var json = JsonDocument.Parse(await RunAsync(proxy, 0, "--transparent", "203.0.113.7:5433", "--json")).RootElement;
        Assert.Equal("blocked", json.GetProperty("other").GetProperty("outcome").GetString());
        Assert.Equal("db.example.org", json.GetProperty("learned").GetString());
    }

    [Theory]
    [InlineData(2, "--transparent", "203.0.113.7")]
    [InlineData(2, "--transparent", "example.com:443")]
    [InlineData(2, "--transparent", "203.0.113.7:443", "--sni", "a:1")]
    [InlineData(2, "--transparent", "203.0.113.7:443", "--sni", "203.0.113.7")]
    public async Task A_connection_that_there_cannot_be_is_refused(int code, params string[] arguments) => Assert.Equal("", await RunAsync(code, arguments));

    [Theory]
    [InlineData("explain", "either URL or --transparent IP:PORT is needed")]
    [InlineData("explain http://a/ --transparent 203.0.113.7:443", "either URL or --transparent IP:PORT is needed")]
    [InlineData("explain http://a/ --sni a", "--sni goes with --transparent")]
    public async Task It_is_asked_about_one_or_the_other(string typed, string says)
    {
        using var error = new StringWriter();
        Assert.Equal(2, await RootCommands.RunAsync(RootCommands.Create(), typed.Split(' '), new InvocationConfiguration { Error = error }));
        Assert.Contains(says, error.ToString(), StringComparison.Ordinal);
    }

    private Task<string> RunAsync(int exitCode, params string[] arguments) => RunAsync(_proxy, exitCode, arguments);

    private static async Task<string> RunAsync(RunningProxy proxy, int exitCode, params string[] arguments)
    {
        using var output = new StringWriter();
        string[] all = ["explain", .. arguments, "--api", $"http://127.0.0.1:{proxy.ApiPort}"];
        Assert.Equal(exitCode, await RootCommands.Create().Parse(all).InvokeAsync(new InvocationConfiguration { Output = output }));
        return output.ToString();
    }
}
