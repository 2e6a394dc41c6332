using System.CommandLine;
using System.Text.Json;
using Discobot.Tests.Fixtures;

namespace Discobot.Features.CommandLine.Policies;

public sealed class PolicyCommandTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("discobot-test-").FullName;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    private const string Policy =
        "allowlist: {enabled: true, domains: [{host: pypi.org, methods: [GET]}, git.example, {host: db.example, ports: [5432]}, pinned.example], "
        + "deny: [{host: git.example, paths: [/secret/**]}]}\ntls: {passthrough: [pinned.example]}\negress: {mode: enforce}";

    [Fact]
    public async Task A_table_of_requests_is_tried_and_each_is_told_with_its_line()
    {
        var config = Write("config.yaml", Policy);
        var table = Write("table.yaml", """
            # what pip needs
            requests:
            - {request: "GET https://pypi.org/simple/?x=1", expect: allowed, rule: {host: pypi.org, methods: [get]}}
            - {request: "POST https://pypi.org/simple/", expect: blocked}
            - {request: "CONNECT git.example:443", expect: allowed}
            - {request: "GET http://git.example/secret/x", expect: blocked, rule: {host: git.example, paths: [/secret/**]}}
            - {request: "PUT https://elsewhere.example/", expect: blocked, rule: git.example}
            - {request: "PUT https://pinned.example/", expect: allowed, rule: pinned.example}
            - {request: "tcp://db.example:5432", expect: allowed}
            - {request: "tcp://git.example:22", expect: blocked}
            """);
        var (code, output, _) = await RunAsync("test", table, "--config", config);
        Assert.Equal(1, code);
        Assert.Equal($$"""
            ok    {{table}}:3: GET https://pypi.org/simple/?x=1 is allowed by {host: "pypi.org", methods: [GET]}
            ok    {{table}}:4: POST https://pypi.org/simple/ is blocked by {host: "pypi.org", methods: [GET]}
            wrong {{table}}:5: CONNECT git.example:443 is blocked by deny {host: "git.example", paths: ["/secret/**"]}, not allowed: git.example is denied by the entry {host: "git.example", paths: ["/secret/**"]} of allowlist.deny, which counts before every entry that allows.
            ok    {{table}}:6: GET http://git.example/secret/x is blocked by deny {host: "git.example", paths: ["/secret/**"]}
            wrong {{table}}:7: PUT https://elsewhere.example/ is blocked by default, not blocked by git.example: elsewhere.example is not in allowlist.domains; the entry "elsewhere.example" there would allow it.
            ok    {{table}}:8: PUT https://pinned.example/ is allowed by "pinned.example"
            ok    {{table}}:9: tcp://db.example:5432 is allowed by {host: "db.example", ports: [5432]}
            ok    {{table}}:10: tcp://git.example:22 is blocked by deny {host: "git.example", paths: ["/secret/**"]}
            8 requests, 2 not as expected

            """, output);
        (code, output, _) = await RunAsync("test", Write("good.yaml", "requests:\n- {request: GET http://x.example/, expect: blocked}"), "--config", config);
        Assert.Equal(0, code);
        Assert.EndsWith("\n1 requests, all as expected\n", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_waits_for_an_answer_is_asked()
    {
        var config = Write("config.yaml", "allowlist: {enabled: true, mode: ask, domains: [a.example]}");
        var table = Write("table.yaml", "requests: [{request: GET https://b.example/, expect: asked}, {request: GET https://a.example/, expect: allowed}]");
        Assert.Equal(0, (await RunAsync("test", table, "--config", config)).Code);
        Assert.Equal(1, (await RunAsync("test", Write("wrong.yaml", "requests: [{request: GET https://b.example/, expect: blocked}]"), "--config", config)).Code);
    }

    [Fact]
    public async Task Without_a_file_the_running_proxy_is_asked_what_is_in_force()
    {
        await using var proxy = await RunningProxy.StartAsync("allowlist: {enabled: true, domains: [a.example]}\nheaders: {a.example: {set: {Authorization: s3cret}}}");
        var table = Write("table.yaml", "requests: [{request: GET https://a.example/, expect: allowed}, {request: GET https://b.example/, expect: blocked}]");
        var (code, output, error) = await RunAsync("test", table, "--api", $"127.0.0.1:{proxy.ApiPort}");
        Assert.Equal((0, ""), (code, error));
        Assert.EndsWith("2 requests, all as expected\n", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_program_reads_what_was_tried_and_what_differs()
    {
        var (old, next) = (Write("old.yaml", "allowlist: {enabled: true, domains: [a.example]}"), Write("new.yaml", "allowlist: {enabled: true, domains: [b.example]}"));
        var table = Write("table.yaml", "requests:\n- {request: GET https://a.example/, expect: allowed}\n\n- {request: CONNECT b.example:443, expect: allowed}\n");
        var (code, output, _) = await RunAsync("test", table, "--config", old, "--json");
        Assert.Equal(1, code);
        var told = JsonDocument.Parse(output).RootElement;
        Assert.Equal((table, false, 2, 1), (told.GetProperty("file").GetString(), told.GetProperty("ok").GetBoolean(), told.GetProperty("requests").GetInt32(), told.GetProperty("unexpected").GetInt32()));
        Assert.Equal(
            ["2 GET https://a.example/ True allowed allowed \"a.example\" ", "4 CONNECT b.example:443 False allowed blocked default b.example is not in allowlist.domains; the entry \"b.example\" there would allow it."],
            told.GetProperty("tried").EnumerateArray().Select(u => string.Join(' ', ((string[])["line", "request", "ok", "expected", "verdict", "rule", "reason"]).Select(name => u.TryGetProperty(name, out var value) ? value.ToString() : ""))));

        (code, output, _) = await RunAsync("diff", old, next, "--json");
        Assert.Equal((1, "{\"allowed\":[{\"sign\":\"+\",\"what\":\"\\\"b.example\\\"\",\"key\":\"allowlist.domains\"}],"
            + "\"blocked\":[{\"sign\":\"-\",\"what\":\"\\\"a.example\\\"\",\"key\":\"allowlist.domains\"}],\"changed\":[],\"other\":[],\"same\":false}"), (code, Compact(output)));
        Assert.Equal((0, "{\"allowed\":[],\"blocked\":[],\"changed\":[],\"other\":[],\"same\":true}"), (await RunAsync("diff", old, old, "--json")) is var (same, text, _) ? (same, Compact(text)) : default);
    }

    [Theory]
    [InlineData("requests: [{request: GET a.example, expect: allowed}]", "table:1:22: requests[0].request: url must be http://host[:port]/path")]
    [InlineData("requests: [{request: CONNECT a.example, expect: allowed}]", "table:1:22: requests[0].request: must be METHOD URL, tcp://HOST:PORT or CONNECT HOST:PORT, not \"CONNECT a.example\"")]
    [InlineData("requests: [{request: 'tcp://a.example', expect: allowed}]", "table:1:22: requests[0].request: must be METHOD URL, tcp://HOST:PORT")]
    [InlineData("requests:\n- {request: GET http://a.example/, expect: allow}", "table:2:44: requests[0].expect: must be allowed, blocked or asked, not \"allow\"")]
    [InlineData("requests:\n- {request: GET http://a.example/}", "table:2:3: requests[0].expect: is needed, as in {request: ")]
    [InlineData("requests:\n- {request: GET http://a.example/, expect: allowed, client: me}", "table:2:53: requests[0].client: unknown key")]
    [InlineData("requests:\n- allow GET https://a.example/", "table:2:3: requests[0]: must be {request, expect}")]
    [InlineData("allow GET https://a.example/", "table:1:1: must be a mapping")]
    [InlineData("requests: []", "table:1:11: requests: must name requests, as in")]
    [InlineData("{}", "table:1:1: requests: must name requests, as in")]
    public async Task A_table_with_mistakes_is_refused_with_the_place_and_what_is_allowed(string text, string error)
    {
        var (code, output, told) = await RunAsync("test", Write("table", text), "--config", Write("config.yaml", "{}"));
        Assert.Equal((2, ""), (code, output));
        Assert.Contains(error, told, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_two_configurations_let_out_differently_is_told_entry_by_entry()
    {
        var old = Write("old.yaml", "allowlist: {enabled: true, domains: [a.example, b.example, '*.wide.example'], presets: [pypi]}");
        var next = Write("new.yaml", """
            allowlist: {enabled: true, domains: [www.wide.example, b.example, "*.wide.example", {host: a.example, methods: [GET]}, {host: pypi.org, methods: [GET]}], deny: [c.example], ips: [10.0.0.0/8]}
            """);
        var (code, output, _) = await RunAsync("diff", old, next);
        Assert.Equal((1, """
            becomes allowed:
              + "10.0.0.0/8"  (allowlist.ips)
            becomes blocked:
              - "a.example"  (allowlist.domains)
              - {host: "files.pythonhosted.org", methods: [GET]}  (allowlist.presets: pypi)
              + "c.example"  (allowlist.deny)
            lets out the same:
              - {host: "pypi.org", methods: [GET]}  (allowlist.presets: pypi)
              + "www.wide.example"  (allowlist.domains)
              + {host: "a.example", methods: [GET]}  (allowlist.domains)
              + {host: "pypi.org", methods: [GET]}  (allowlist.domains)

            """), (code, output));
        Assert.Equal((0, "nothing differs\n", ""), await RunAsync("diff", old, old));
        var (bad, _, mistake) = await RunAsync("diff", old, Write("bad.yaml", "allowlist: 1"));
        Assert.Equal(2, bad);
        Assert.Contains("bad.yaml:1:12: allowlist: must be a mapping", mistake, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("{}", "allowlist: {enabled: true, domains: [a.example]}", "becomes blocked:\n  ~ off becomes enforce: what no entry allows is blocked  (allowlist.mode)\nlets out the same:\n  + \"a.example\"  (allowlist.domains)\n")]
    [InlineData("allowlist: {enabled: true}", "allowlist: {enabled: true, mode: ask}", "becomes allowed:\n  ~ enforce becomes ask: what no entry decides is asked  (allowlist.mode)\n")]
    [InlineData("allowlist: {enabled: true}", "{}", "becomes allowed:\n  ~ enforce becomes off: what no entry denies is allowed  (allowlist.mode)\n")]
    [InlineData("allowlist: {domains: [a.example]}", "allowlist: {mode: learn, deny: [d.example]}",
        "becomes blocked:\n  + \"d.example\"  (allowlist.deny)\nlets out the same:\n  ~ off becomes learn: what no entry denies is allowed, and remembered  (allowlist.mode)\n  - \"a.example\"  (allowlist.domains)\n")]
    [InlineData("allowlist: {enabled: true}\negress: {mode: enforce}", "allowlist: {enabled: true, allow_private: true}\negress: {mode: redirect}",
        "becomes allowed:\n  ~ what is neither HTTP nor TLS needs no entry with its port  (egress.mode)\n  ~ names may lead to private addresses  (allowlist.allow_private)\n")]
    public async Task A_change_of_the_mode_is_told_with_what_it_means(string old, string next, string told) =>
        Assert.Equal((1, told, ""), await RunAsync("diff", Write("old.yaml", old), Write("new.yaml", next)));

    [Theory]
    [InlineData("tls: {passthrough: [a.example]}", "tls: {passthrough: ['*.example']}",
        "becomes allowed:\n  + \"*.example\", whose connections are passed unopened  (tls.passthrough)\nbecomes blocked:\n  - \"a.example\", whose connections are passed unopened  (tls.passthrough)\n")]
    [InlineData("socks: {inspect: true}", "socks: {udp: true}",
        "becomes allowed:\n  ~ true becomes false: whether connections by SOCKS are looked into  (socks.inspect)\n  ~ false becomes true: whether UDP may leave by SOCKS  (socks.udp)\n")]
    [InlineData("tls: {insecure_hosts: [a.example]}\negress: {trust_agent: true}", "egress: {no_new_privs: false}",
        "becomes allowed:\n  ~ true becomes false: whether set-user-ID programs give the agent nothing  (egress.no_new_privs)\n"
        + "becomes blocked:\n  - \"a.example\", whose certificate is not checked  (tls.insecure_hosts)\n  ~ true becomes false: whether an agent that could undo the rules is trusted  (egress.trust_agent)\n")]
    [InlineData("egress: {mode: redirect}\npackages: {min_age: 3d}", "egress: {mode: open}\ndocker: {guard: 'off'}",
        "passes otherwise:\n  ~ \"auto\" becomes \"off\": whether the agent's Docker socket refuses what leads out  (docker.guard)\n"
        + "  ~ \"72h\" becomes \"0s\": which packages do not exist yet  (packages.min_age)\n  ~ \"redirect\" becomes \"open\": what goes past the proxy  (egress.mode)\n")]
    [InlineData("headers: {a.example: {set: {X-Team: blue}}}", "headers: {b.example: {set: {X-Team: 'env:TEAM'}}}",
        "passes otherwise:\n  - a.example {\"set\":{\"X-Team\":\"***\"},\"append\":{},\"conditions\":[],\"allow_plaintext\":false}: which fields are added on the way to which hosts  (headers)\n"
        + "  + b.example {\"set\":{\"X-Team\":\"env:TEAM\"},\"append\":{},\"conditions\":[],\"allow_plaintext\":false}: which fields are added on the way to which hosts  (headers)\n")]
    [InlineData("logging: {level: debug}\naudit: {keep: 7}\ncache: {enabled: false}", "{}", null)]
    public async Task Whatever_else_decides_what_passes_is_told_by_its_key(string old, string next, string? told) =>
        Assert.Equal((told is null ? 0 : 1, told ?? "nothing differs\n", ""), await RunAsync("diff", Write("old.yaml", old), Write("new.yaml", next)));

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
