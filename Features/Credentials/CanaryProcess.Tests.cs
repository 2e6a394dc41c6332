using System.Text;
using Discobot.Features.Init;
using Discobot.Tests.Fixtures;

namespace Discobot.Features.Credentials;

/// <summary>
/// The same with the executable as process 1, its agent, and a server in a network of its own: through the proxy's port, and by the way on which the packet filter leads
/// an agent that asks nobody.
/// </summary>
public sealed class CanaryProcessTests : IDisposable
{
    private const string Canary = "canary/s3cret+of=the~container";

    // What it was asked with it keeps; what it was sent as Authorization it repeats.
    private const string Server = """
        from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            def do_GET(self):
                sent = self.headers.get("Authorization", "")
                with open("received", "a") as f: f.write(f"{self.path} {sent}\n")
                body = f"echo {sent}\n".encode()
                self.send_response(200); self.send_header("Content-Type", "text/plain"); self.send_header("X-Echo", sent); self.send_header("Content-Length", str(len(body))); self.end_headers()
                self.wfile.write(body)
            def log_message(self, *a): pass
        ThreadingHTTPServer(("198.51.100.7", 80), Handler).serve_forever()
        """;

    // The server's end of the cable is in a network namespace of its own, and its directory out of the session's sight.
    private const string Uplink = """
        mkdir -p "$volume.server"; printf '%s' "$SERVER" > "$volume.server/server.py"
        (cd "$volume.server"; exec unshare -n sh -c 'until ip address add 198.51.100.7/24 dev far 2> /dev/null; do sleep 0.02; done; ip link set far up; exec python3 server.py') &
        peer=$!
        until [ "$(readlink /proc/$peer/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do sleep 0.02; done
        ip link add eth0 type veth peer name far; ip link set far netns $peer; ip address add 198.51.100.1/24 dev eth0; ip link set eth0 up; ip route add default via 198.51.100.7
        until python3 -c 'import socket; socket.create_connection(("198.51.100.7", 80), 1)' 2> /dev/null; do sleep 0.1; done
        """;

    private readonly Enclosure _inside = new();

    private string ServersDirectory => _inside.At("/.data") + ".server";

    public void Dispose()
    {
        _inside.Dispose();
        if (Directory.Exists(ServersDirectory))
            Directory.Delete(ServersDirectory, recursive: true);
    }

    [Fact]
    public async Task In_a_container_the_secret_is_in_no_file_no_answer_and_no_environment_but_the_proxys_whichever_way_it_goes()
    {
        _inside.Environment["TOKEN"] = Canary;
        _inside.Before = $"SERVER='{Server}'\n{Uplink}";
        _inside.Prepare("""
            mkdir -p $1/etc/discobot; echo '198.51.100.7 own.test other.test' >> $1/etc/hosts
            cat > $1/etc/discobot/policy.yaml << 'END'
            egress: {mode: enforce}
            allowlist: {enabled: true, domains: [own.test, other.test], ips: [198.51.100.7]}
            secrets: {canary: {value: "env:TOKEN", hosts: [own.test], in: [header, basic, query], env: TOKEN, allow_plaintext: true}}
            END
            """);
        _inside.Agent("""
            ask() { curl -s -m 50 -D - "$@"; echo; }
            for way in "-x $HTTP_PROXY --noproxy none" "--noproxy *"; do
              set -f
              ask $way -H "Authorization: Bearer $TOKEN" http://own.test/echo
              ask $way -u "user:$TOKEN" http://own.test/basic
              ask $way "http://own.test/query?key=$TOKEN"
              ask $way -H "X-Key: $TOKEN" http://other.test/refused
              ask $way "http://own.test/path/$TOKEN"
              set +f
            done > /tmp/answers 2>&1
            env > /tmp/environment
            cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline > /tmp/processes 2>/dev/null
            echo all is asked
            exec sleep 1000
            """);
        await _inside.StartAsync();
        await _inside.SeeAsync("all is asked");

        // The server alone has had it, and by both ways.
        var received = await File.ReadAllLinesAsync(Path.Combine(ServersDirectory, "received"));
        Assert.Equal(2, received.Count(line => line == $"/echo Bearer {Canary}"));
        Assert.Equal(2, received.Count(line => line == $"/basic Basic {Convert.ToBase64String(Encoding.ASCII.GetBytes($"user:{Canary}"))}"));
        Assert.Equal(2, received.Count(line => line.StartsWith($"/query?key={Uri.EscapeDataString(Canary)} ", StringComparison.Ordinal)));
        Assert.Equal(6, received.Length);

        var placeholder = (await File.ReadAllTextAsync(_inside.At("/.data/proxy/placeholders.env"))).Trim()["TOKEN=".Length..];
        var answers = await File.ReadAllTextAsync(_inside.At("/tmp/answers"));
        Assert.Equal(3, answers.Split($"echo Bearer {placeholder}").Length);
        Assert.Equal(5, answers.Split("X-Discobot-Error: credential_refused").Length);
        Assert.Contains($"TOKEN={placeholder}\n", await File.ReadAllTextAsync(_inside.At("/tmp/environment")), StringComparison.Ordinal);

        var shown = await _inside.ShellAsync("""
            for path in / /metrics /api/flows /api/har /api/config /api/policy /api/cache/stats /api/cache/entries /api/approvals; do curl -s -m 50 "http://localhost:17081$path"; done
            for entry in http transparent; do until grep -q "\"entry\":\"$entry\".*/path/" /.data/proxy/audit.jsonl; do sleep 0.1; done; done
            stat -c 'the memory of %U' /proc/$(pgrep -o -f '^/opt/discobot/lib/discobot proxy')/environ; ps -o user= -p $(pgrep -o -f '^/opt/discobot/lib/discobot proxy')
            for n in $(pgrep -u discobot); do tr '\0' '\n' < /proc/$n/environ; done
            """);
        Assert.Contains("\"entry\":\"transparent\"", await File.ReadAllTextAsync(_inside.At("/.data/proxy/audit.jsonl")), StringComparison.Ordinal);
        // Its process leaves no core, and its memory is nobody's but root's (prctl(2), PR_SET_DUMPABLE).
        Assert.Contains("the memory of root\n", shown, StringComparison.Ordinal);
        Assert.DoesNotContain("the memory of root\nroot", shown, StringComparison.Ordinal);
        foreach (var spelling in Spellings())
        {
            Assert.DoesNotContain(spelling, shown, StringComparison.Ordinal);
            Assert.DoesNotContain(spelling, _inside.Output, StringComparison.Ordinal);
            var found = await _inside.ShellAsync($"grep -rlF -e '{spelling}' /.data /tmp /run /etc /home /var /workspace /root 2>/dev/null");
            Assert.Equal("", found);
        }
    }

    // As it is, percent-encoded, and in Base64 at each of the three places where it may begin, but for its ends, which depend on what is beside it.
    private static IEnumerable<string> Spellings()
    {
        yield return Canary;
        yield return Uri.EscapeDataString(Canary);
        for (var before = 0; before < 3; before++)
            yield return Convert.ToBase64String(Encoding.ASCII.GetBytes(new string('x', before) + Canary + "xx"))[4..^8];
    }
}
