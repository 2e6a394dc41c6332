using Discobot.Integration.Fixtures;

namespace Discobot.Integration.Egress;

/// <summary>What the rules allow works where egress is enforced, for programs that know of no proxy and were told of none.</summary>
[Collection("egress")]
public sealed class AllowedTests(EgressSessions sessions)
{
    // Python, which needs no other: a name, and a port that is neither HTTP nor TLS.
    private const string Raw = """
        python3 -c 'import socket; print(socket.create_connection(("allowed.test", 5432), 5).recv(99).decode(), end="")'
        """;

    [Theory]
    [InlineData("curl -sS http://allowed.test/", "hello allowed.test\n")]
    [InlineData("curl -sS --noproxy '*' https://allowed.test/", "hello allowed.test\n")]
    [InlineData("curl -sS --http1.1 https://deep.allowed.test/", "hello deep.allowed.test\n")]
    [InlineData("wget -q -O - https://allowed.test/", "hello allowed.test\n")]
    [InlineData("git ls-remote https://packages.test/repo.git main | cut -f 2", "refs/heads/main\n")]
    [InlineData("rm -rf /tmp/n; mkdir /tmp/n; cd /tmp/n; npm install --registry https://packages.test/npm --no-audit --no-fund left >&2; node -p 'require(\"left\")'", "installed\n")]
    [InlineData("rm -rf /tmp/p; pip install -q --disable-pip-version-check --no-cache-dir --target /tmp/p -i https://packages.test/simple upper >&2; PYTHONPATH=/tmp/p python3 -c 'import upper; print(upper.what)'", "installed\n")]
    [InlineData("node -e 'fetch(\"https://allowed.test/\").then(r => r.text()).then(t => process.stdout.write(t))'", "hello allowed.test\n")]
    [InlineData("java /clients/Fetch.java https://allowed.test/", "200\n200\n")]
    [InlineData("python3 -c 'import urllib.request; print(urllib.request.urlopen(\"https://allowed.test/\").read().decode(), end=\"\")'", "hello allowed.test\n")]
    [InlineData(Raw, "greetings\n")]
    public async Task Of_Debian(string command, string answer)
    {
        var session = await sessions.AllowedOfAsync(Distro.Debian);
        // Clients with a store of their own are told of it by a file, as the agent's environment does; of the proxy they are told nothing.
        const string Trust = "export SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt; ";
        var java = await session.ShellAsync("tr '\\0' '\\n' < /proc/$(pgrep -u discobot sleep | head -1)/environ | grep ^JAVA_TOOL_OPTIONS= | grep -o -e '-Djavax[^ ]*' | tr '\\n' ' '");
        var said = await EgressSessions.AsAgentAsync(session, $"{Trust} export JAVA_TOOL_OPTIONS='{java.Trim()}'; {{ {command}; }} 2>/tmp/errors || cat /tmp/errors");
        Assert.Equal(answer, said);
    }

    [Theory]
    [InlineData("wget -q -O - http://allowed.test/", "hello allowed.test\n")]
    [InlineData("nc -w 20 allowed.test 5432 </dev/null", "greetings\n")]
    [InlineData("nslookup -type=a deep.allowed.test | grep -c Name:", "1\n")]
    public async Task Of_Alpine(string command, string answer)
    {
        var session = await sessions.AllowedOfAsync(Distro.Alpine);
        var said = await EgressSessions.AsAgentAsync(session, $"{{ {command}; }} 2>&1");
        Assert.True(said == answer, $"said: {said.Trim()}; log: {string.Join(" | ", (await session.OutputAsync()).TrimEnd().Split('\n').TakeLast(8))}");
    }

    [Fact]
    public async Task A_name_decides_and_not_the_address_that_was_chosen_for_it()
    {
        var session = await sessions.AllowedOfAsync(Distro.Debian);
        var before = (await sessions.Outside.PacketsFromAsync(session)).Count;
        Assert.Equal("hello allowed.test\n", await EgressSessions.AsAgentAsync(session, $"curl -sS --resolve allowed.test:443:{Outside.Elsewhere} https://allowed.test/"));
        Assert.DoesNotContain((await sessions.Outside.PacketsFromAsync(session)).Skip(before), packet => packet.Contains(Outside.Elsewhere, StringComparison.Ordinal));
    }

    [Fact]
    public async Task What_is_refused_says_so_at_once()
    {
        var session = await sessions.AllowedOfAsync(Distro.Debian);
        Assert.Contains("not in allowlist.domains", await EgressSessions.AsAgentAsync(session, $"curl -sS -m 2 -H 'Host: forbidden.test' http://{sessions.Outside.Address}/"), StringComparison.Ordinal);
        Assert.Equal("28\n6\n", await EgressSessions.AsAgentAsync(session,
            $"python3 -c 'import socket,errno,time; s=socket.socket(2,2); s.connect((\"{Outside.Elsewhere}\",9)); b=time.time(); \ntry: s.send(b\"x\"); print(0)\nexcept OSError as e: print(28 if time.time()-b<1 and e.errno in (1,13,113,111) else e.errno)'; curl -sS http://forbidden.test/ 2>/dev/null; echo $?"));
    }
}
