using System.Diagnostics;
using System.Net;
using System.Text.Json;
using Discobot.Features.Certificates;
using Discobot.Tests.Fixtures;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging.Abstractions;

namespace Discobot.Features.CommandLine.Diagnosis;

/// <summary>The command as a process beside a proxy that no container has: the machine's own clients, with the variables that they are given.</summary>
public sealed class DoctorCommandTests : IAsyncLifetime
{
    private RunningProxy _proxy = null!;
    private TestOrigin _origin = null!;

    // Not of those hosts that variables leave out.
    private string Url => $"https://127.0.0.2:{_origin.HttpsPort}/";

    private string Variable => $"http://localhost:{_proxy.Port}";

    private string Authority => Path.Combine(Path.GetDirectoryName(_proxy.LogFile)!, "certs", "ca.crt");

    public async Task InitializeAsync()
    {
        _proxy = await RunningProxy.StartAsync("allowlist: {enabled: true, domains: [\"*.first.example\", second.example], ips: [127.0.0.2]}");
        _origin = await TestOrigin.StartAsync(_proxy.Upstreams.Issue(["127.0.0.2"]), context => context.Response.WriteAsync("here"), IPAddress.Parse("127.0.0.2"));
    }

    public async Task DisposeAsync()
    {
        await _origin.DisposeAsync();
        await _proxy.DisposeAsync();
    }

    [Fact]
    public async Task A_client_that_gets_its_page_without_the_proxy_is_told_to_go_past_it()
    {
        // wget reads no variable in capitals, java none at all; both could reach the page, and trust it.
        var roots = Path.Combine(Path.GetDirectoryName(_proxy.LogFile)!, "extra.pem");
        var found = await LookAsync(["--url", Url], ("HTTPS_PROXY", Variable), ("CURL_CA_BUNDLE", Authority), ("SSL_CERT_FILE", roots));
        Assert.Equal(("ok", "goes through the proxy and trusts it", null), found["client curl"]);
        foreach (var (client, variable) in new[] { ("wget", $"export https_proxy={Variable} "), ("java", $"-Dhttps.proxyPort={_proxy.Port}") })
        {
            var (result, detail, fix) = found["client " + client];
            Assert.Equal("failed", result);
            Assert.StartsWith("goes past the proxy: ", detail, StringComparison.Ordinal);
            Assert.Contains(variable, fix, StringComparison.Ordinal);
        }

        Assert.Equal("goes past the proxy: it got an answer, and the proxy no request",
            (await LookAsync(["--url", Url], ("CURL_CA_BUNDLE", roots)))["client curl"].Detail);
    }

    [Fact]
    public async Task What_the_allowlist_refuses_is_told_with_its_rule_and_nothing_is_wrong_with_names_clients_and_certificates()
    {
        var found = await LookAsync([], Proxied());
        var (result, detail, _) = found["network upstream"];
        Assert.Equal("absent", result);
        Assert.Contains("(rule default): example.com is not in allowlist.domains", detail, StringComparison.Ordinal);
        Assert.EndsWith("discobot doctor --url https://second.example/", detail, StringComparison.Ordinal);
        Assert.Equal("absent", found["network DNS"].Result);
        Assert.All(new[] { "curl", "git", "python3" }, client => Assert.Equal(("ok", "goes through the proxy and trusts it", null), found["client " + client]));

        var named = (await LookAsync(["--url", "https://refused.example/"], Proxied()))["network upstream"];
        Assert.Equal("failed", named.Result);
        Assert.Contains("`discobot explain https://refused.example/`", named.Fix, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_password_that_is_missing_is_told_with_its_line_and_key()
    {
        await using var proxy = await RunningProxy.StartAsync("socks: {users: {alice: \"env:DISCOBOT_TEST_UNSET\"}}");
        var found = await LookAsync(["--api", $"127.0.0.1:{proxy.ApiPort}", "--url", Url]);
        var good = (await LookAsync(["--url", Url]))["config secrets"];
        Assert.Equal(("ok", null), (good.Result, good.Fix));
        var (result, detail, fix) = found["config secrets"];
        Assert.Equal("failed", result);
        Assert.StartsWith("test.yaml:6:24: socks.users.alice: the environment variable DISCOBOT_TEST_UNSET is not set", detail, StringComparison.Ordinal);
        Assert.StartsWith("give the proxy what is missing: start it again with the variable", fix, StringComparison.Ordinal);
        Assert.Equal(("absent", "not tried: the proxy asks every client for a name and password (clients, socks.users)", null), found["network upstream"]);
    }

    [Fact]
    public async Task An_answer_of_the_proxys_own_is_not_told_as_the_pages()
    {
        var found = await LookAsync(["--url", "https://second.example/"], Proxied());
        Assert.Equal("failed", found["network upstream"].Result);
        Assert.StartsWith("502 is the proxy's own answer for https://second.example/: ", found["network upstream"].Detail, StringComparison.Ordinal);
        Assert.Equal($"read the proxy's log, {_proxy.LogFile}", found["network upstream"].Fix);
        Assert.Equal("ok", found["client git"].Result);
    }

    [Fact]
    public async Task Elsewhere_than_in_a_container_no_step_is_missed_and_the_remedy_is_the_machines()
    {
        var found = await LookAsync(["--url", Url], ("https_proxy", Variable), ("CURL_CA_BUNDLE", "/etc/hostname"));
        Assert.Contains("this is no container that `discobot init` started", found["step all"].Detail, StringComparison.Ordinal);
        Assert.Single(found.Keys, key => key.StartsWith("step ", StringComparison.Ordinal));
        var fixes = string.Join('\n', found.Values.Select(f => f.Fix));
        Assert.DoesNotContain("container", fixes, StringComparison.Ordinal);
        Assert.DoesNotContain("docker", fixes, StringComparison.Ordinal);
        // Its reason, not the help that follows it; and the variable only where that is wrong.
        Assert.StartsWith("curl: (", found["client curl"].Detail, StringComparison.Ordinal);
        Assert.StartsWith("CURL_CA_BUNDLE names /etc/hostname, which has not the CA: ", found["client curl"].Fix, StringComparison.Ordinal);
        Assert.Equal($"discobot trust install --cert-dir {Path.GetDirectoryName(Authority)}", found["client git"].Fix);
    }

    [Fact]
    public async Task After_a_rotation_the_remedy_is_a_restart()
    {
        CertificateAuthority.Rotate(Path.GetDirectoryName(Authority)!, TimeProvider.System, NullLogger.Instance, out _).Dispose();
        var found = await LookAsync(["--url", Url], Proxied());
        Assert.Equal("failed", found["trust served"].Result);
        foreach (var name in new[] { "trust served", "client git" })
            Assert.StartsWith("restart the proxy, and then: discobot trust install", found[name].Fix, StringComparison.Ordinal);
    }

    /// <summary>As root beside a user's proxy: the settings that this user has are not the proxy's.</summary>
    [Fact]
    public async Task The_proxy_says_itself_where_its_authority_is()
    {
        var found = await LookUnnamedAsync(["--url", Url], [.. Proxied(), ("PROXY_PORT", $"{_proxy.Port}"), ("API_PORT", $"{_proxy.ApiPort}")]);
        Assert.Equal(("ok", $"the proxy signs with {Authority}", null), found["trust served"]);
        Assert.Equal($"discobot trust install --cert-dir {Path.GetDirectoryName(Authority)}", found["trust system"].Fix);
    }

    [Fact]
    public async Task An_authority_that_is_shown_and_lies_nowhere_is_told_as_such()
    {
        var away = Authority + ".away";
        File.Move(Authority, away);
        var found = await LookAsync(["--url", Url], Proxied());
        File.Move(away, Authority);
        Assert.Equal(("ok", $"the proxy signs with the CA that http://127.0.0.1:{_proxy.ApiPort}/ca.crt shows; {Authority} is not there for this user", null), found["trust served"]);
        Assert.StartsWith("as root, or as the user whose ", found["trust system"].Fix, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Where_no_proxy_runs_all_that_helps_is_to_start_one()
    {
        var port = RunningProxy.FreePort();
        var found = await LookUnnamedAsync([], ("PROXY_PORT", $"{RunningProxy.FreePort()}"), ("API_PORT", $"{port}"), ("CERT_DIR", "/nonexistent/certs"));
        foreach (var name in new[] { "port proxy", "port API", "trust system" })
            Assert.Equal(("failed", "start it with `discobot proxy`, or name the one that is meant with --config or --api"), (found[name].Result, found[name].Fix));
        Assert.Equal($"no proxy answers at 127.0.0.1:{port} that shows its CA, and there is none in /nonexistent/certs", found["trust system"].Detail);
        Assert.Equal("absent", found["trust served"].Result);
        Assert.DoesNotContain(found.Keys, name => name.StartsWith("client ", StringComparison.Ordinal) || name.StartsWith("network ", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_page_of_this_machine_says_nothing_of_clients_which_fetch_such_ones_without_a_proxy()
    {
        var found = await LookAsync(["--url", $"http://localhost:{_proxy.ApiPort}/health"], Proxied());
        Assert.StartsWith("not tried: clients fetch this machine's own pages without a proxy", found["client curl"].Detail, StringComparison.Ordinal);
        Assert.Equal("absent", found["client curl"].Result);
    }

    [Fact]
    public async Task What_is_found_is_left_with_the_proxy_by_whoever_has_the_token()
    {
        using var api = _proxy.Api();
        string[] arguments = ["--url", $"http://localhost:{_proxy.ApiPort}/health", "--api", $"127.0.0.1:{_proxy.ApiPort}"];
        await LookAsync(arguments);
        Assert.Equal("{\"findings\":[]}\n", await api.GetStringAsync("/api/doctor"));
        var found = await LookAsync([.. arguments, "--token-file", Path.Combine(Path.GetDirectoryName(_proxy.LogFile)!, "api.token")]);
        var left = JsonElement.Parse(await api.GetStringAsync("/api/doctor"));
        Assert.Equal(found.Keys.Order(), left.GetProperty("findings").EnumerateArray().Select(f => $"{f.GetProperty("area").GetString()} {f.GetProperty("name").GetString()}").Order());
        Assert.InRange(left.GetProperty("at").GetDateTimeOffset(), DateTimeOffset.UtcNow.AddHours(-1), DateTimeOffset.UtcNow.AddMinutes(1));
    }

    [Fact]
    public async Task Of_a_plain_page_the_variable_is_that_of_plain_pages()
        => Assert.StartsWith($"export http_proxy={Variable} ", (await LookAsync(["--url", Url.Replace("https", "http", StringComparison.Ordinal)]))["client curl"].Fix, StringComparison.Ordinal);

    [Theory]
    [InlineData("nonsense")]
    [InlineData("ftp://example.com/")]
    [InlineData("https://")]
    [InlineData("")]
    public async Task A_page_that_is_none_is_wrong_usage(string url)
    {
        using var error = new StringWriter();
        Assert.Equal(2, await RootCommands.RunAsync(RootCommands.Create(), ["doctor", "--url", url], new() { Error = error }));
        Assert.StartsWith($"discobot doctor: --url must be a page, as in https://example.com/, not \"{url}\"; ", error.ToString(), StringComparison.Ordinal);
    }

    private (string Name, string Value)[] Proxied() => [("https_proxy", Variable), .. new[] { "CURL_CA_BUNDLE", "GIT_SSL_CAINFO", "SSL_CERT_FILE" }.Select(v => (v, Authority))];

    /// <summary>At the proxy whose API is named: here this test's.</summary>
    private Task<Dictionary<string, (string? Result, string? Detail, string? Fix)>> LookAsync(string[] arguments, params (string Name, string Value)[] variables)
        => LookUnnamedAsync(arguments.Contains("--api") ? arguments : ["--api", $"127.0.0.1:{_proxy.ApiPort}", .. arguments], variables);

    private static async Task<Dictionary<string, (string? Result, string? Detail, string? Fix)>> LookUnnamedAsync(string[] arguments, params (string Name, string Value)[] variables)
    {
        var executable = Executable.Path;
        using var process = Process.Start(new ProcessStartInfo("env",
            ["-i", $"PATH={Environment.GetEnvironmentVariable("PATH")}", "HOME=/nonexistent", "DOTNET_EnableDiagnostics=0", $"DOTNET_ROOT={Environment.GetEnvironmentVariable("DOTNET_ROOT")}",
                .. variables.Select(v => $"{v.Name}={v.Value}"), executable, "doctor", "--json", .. arguments])
        {
            RedirectStandardOutput = true,
        })!;
        var said = await process.StandardOutput.ReadToEndAsync();
        await process.WaitForExitAsync();
        return JsonDocument.Parse(said).RootElement.EnumerateArray().ToDictionary(
            f => $"{f.GetProperty("area").GetString()} {f.GetProperty("name").GetString()}",
            f => (f.GetProperty("result").GetString(), f.GetProperty("detail").GetString(), f.GetProperty("fix").GetString()));
    }
}
