namespace Discobot.Integration.Init;

public sealed class StartupTests : IDisposable
{
    private const string ShowEnvironment = "env | grep -iE '^(http|https|all|no)_proxy=|^NODE_EXTRA' | sort; echo user $(id -u) in $PWD; exit 7";
    private static readonly string[] Nine =
    [
        "HTTP_PROXY=http://localhost:17080", "HTTPS_PROXY=http://localhost:17080", "ALL_PROXY=http://localhost:17080", "NO_PROXY=localhost,127.0.0.1,::1",
        "http_proxy=http://localhost:17080", "https_proxy=http://localhost:17080", "all_proxy=http://localhost:17080", "no_proxy=localhost,127.0.0.1,::1",
        "NODE_EXTRA_CA_CERTS=/.data/proxy/certs/ca.crt",
    ];

    private readonly InitContainer _container = new();

    public void Dispose() => _container.Dispose();

    [Fact]
    public async Task Everything_starts_in_order_and_the_containers_exit_code_is_the_agents()
    {
        _container.Agent(ShowEnvironment);
        Assert.Equal(7, await _container.RunAsync());
        string[] order =
        [
            "base home completed", "workspace completed", "filesystem completed", "workspace link completed", "proxy config completed",
            "CA certificate and trust completed", "found proxy at /opt/discobot/bin/proxy, starting HTTP proxy...", "proxy started (pid=",
            "HTTP proxy ready on port 17080", "Docker daemon completed", "agent-api completed", "startup completed", "agent-api ended with exit code 7",
            "proxy stopped",
        ];
        var at = order.Select(line => _container.Output.IndexOf(line, StringComparison.Ordinal)).ToList();
        Assert.DoesNotContain(-1, at);
        Assert.Equal(at.Order(), at);
        Assert.Matches("discobot-agent: proxy started \\(pid=[0-9]+\\), waiting for health check\\.\\.\\.\n", _container.Output);
        Assert.Contains("user 4321 in /home/discobot/workspace", _container.Output, StringComparison.Ordinal);
        Assert.All(Nine, variable => Assert.Contains($"\n{variable}\n", _container.Output, StringComparison.Ordinal));
        var profile = File.ReadAllLines(_container.Upper("etc/profile.d/discobot-proxy.sh"));
        Assert.All(Nine, variable => Assert.Contains($"export {variable}", profile));
    }

    [Fact]
    public async Task Without_the_proxys_binary_the_container_works_and_no_variable_is_set()
    {
        Directory.CreateDirectory(_container.Upper("etc/profile.d"));
        File.WriteAllText(_container.Upper("etc/profile.d/discobot-proxy.sh"), "export HTTP_PROXY=http://localhost:17080\n");
        File.Delete(_container.Upper("opt/discobot/bin/proxy"));
        _container.Agent("ls /etc/profile.d; " + ShowEnvironment);
        Assert.Equal(7, await _container.RunAsync());
        Assert.Contains("Proxy daemon not started: proxy binary not found at /opt/discobot/bin/proxy", _container.Log());
        Assert.DoesNotContain("PROXY=", _container.Output, StringComparison.Ordinal);
        Assert.DoesNotContain("discobot-proxy.sh", _container.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_listener_that_is_not_the_proxy_does_not_pass_for_it()
    {
        _container.Program("opt/discobot/bin/proxy", """
            exec python3 -c '
            import http.server
            class H(http.server.BaseHTTPRequestHandler):
                def do_GET(self): self.send_response(200); self.end_headers(); self.wfile.write(b"{\"status\":\"ok\",\"pid\":1}")
            import threading
            threading.Thread(target=http.server.HTTPServer(("127.0.0.1",17080),H).serve_forever).start()
            http.server.HTTPServer(("127.0.0.1",17081),H).serve_forever()'
            """);
        _container.Agent(ShowEnvironment);
        Assert.Equal(7, await _container.RunAsync());
        Assert.Contains("proxy did not become ready: timeout waiting for proxy health check", _container.Output, StringComparison.Ordinal);
        Assert.DoesNotContain("HTTP_PROXY", _container.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_proxy_that_ends_early_is_not_waited_for()
    {
        _container.Program("opt/discobot/bin/proxy", "exit 3");
        _container.Agent("exit 0");
        var watch = System.Diagnostics.Stopwatch.StartNew();
        Assert.Equal(0, await _container.RunAsync());
        Assert.Contains("proxy did not become ready: it ended with exit code 3", _container.Output, StringComparison.Ordinal);
        Assert.True(watch.Elapsed < TimeSpan.FromSeconds(9), $"{watch.Elapsed}");
    }

    [Fact]
    public async Task A_proxy_that_dies_is_started_again()
    {
        _container.Start();
        await _container.SeeAsync("agent-api started");
        _container.SendTo("proxy started (pid=", "KILL");
        await _container.SeeAsync("ended unexpectedly with exit code 137");
        var first = _container.Output.IndexOf("ended unexpectedly", StringComparison.Ordinal);
        var watch = System.Diagnostics.Stopwatch.StartNew();
        while (_container.Output.IndexOf("HTTP proxy ready", first, StringComparison.Ordinal) < 0 && watch.Elapsed < InitContainer.Patience)
            await Task.Delay(10);
        Assert.True(_container.Output.IndexOf("HTTP proxy ready", first, StringComparison.Ordinal) > 0, _container.Output);
        _container.Send("TERM");
        Assert.Equal(143, await _container.EndAsync());
    }

    [Theory]
    [InlineData("SESSION_ID", "../x")]
    [InlineData("AGENT_USER", "nobody-here")]
    [InlineData("AGENT_BINARY", "/opt/none")]
    public async Task A_wrong_input_ends_the_start_with_code_1_and_names_it(string name, string value)
    {
        _container.Environment[name] = value;
        Assert.Equal(1, await _container.RunAsync());
        Assert.Contains("error: ", _container.Output, StringComparison.Ordinal);
        Assert.Contains(name == "AGENT_BINARY" ? value : name, _container.Output, StringComparison.Ordinal);
    }
}
