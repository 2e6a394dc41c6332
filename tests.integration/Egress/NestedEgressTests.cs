using Discobot.Integration.Fixtures;

namespace Discobot.Integration.Egress;

/// <summary>Containers and builds of the Docker inside, without any setting of the docker client's: their way out is the same one.</summary>
[Collection("egress")]
public sealed class NestedEgressTests(EgressSessions sessions)
{
    // An image with a shell, curl, Python and what they load; nothing of its own about certificates.
    internal const string MakeImage = """
        { for p in /bin/sh /bin/bash /bin/sleep /usr/bin/curl /usr/bin/timeout /usr/bin/python3; do echo $p; ldd $p | grep -o '/[^ )]*'; done; echo /etc/passwd
          find /usr/lib/python3.11 -type f -not -path '*/__pycache__/*'; } \
            | sort -u | tar -chf - -T - 2>/dev/null | docker import - client >/dev/null; docker network create inner >/dev/null
        """;

    [Fact]
    public async Task They_reach_what_is_allowed_and_each_other_and_send_nothing_else()
    {
        await using var session = sessions.New(Distro.Debian, EgressSessions.Enforced, docker: true);
        await session.StartAsync();
        await session.SeeAsync("startup completed");
        await session.ShellAsync(MakeImage);
        Task<string> Docker(string script) => session.ShellAsync("export DOCKER_CONFIG=/nonexistent DOCKER_BUILDKIT=0; " + script);

        foreach (var network in (string[])["", "--network inner", "--dns 203.0.113.1"])
            Assert.Equal("hello deep.allowed.test\n", await Docker($"docker run --rm {network} client curl -sS -m 8 https://deep.allowed.test/"));
        await Docker("mkdir -p /tmp/b; printf 'FROM client\\nRUN curl -sS -m 8 https://allowed.test/ > /page && ! curl -sSf -m 3 http://203.0.113.1/\\n' > /tmp/b/Dockerfile; docker build -q /tmp/b");

        // To each other by name, from this container, and from outside.
        await Docker("docker run -d --name web --network inner -p 8088:80 client python3 -m http.server 80; sleep 1");
        Assert.Equal("200", await Docker("docker run --rm --network inner client curl -sS -m 5 -o /dev/null -w '%{http_code}' http://web/"));
        Assert.Equal("200", await Docker("curl -sS -m 5 -o /dev/null -w '%{http_code}' http://127.0.0.1:8088/"));
        Assert.Equal("200", await sessions.Outside.FetchStatusAsync($"http://{await session.AddressAsync()}:8088/"));

        var before = (await sessions.Outside.PacketsFromAsync(session)).Count;
        var names = (await sessions.Outside.NamesAsync()).Length;
        foreach (var options in (string[])["", "--network inner", "--dns 203.0.113.1"])
            await Docker($"docker run --rm {options} client bash -c '{Escapes(sessions.Outside.Address)}'");
        Assert.Empty((await sessions.Outside.PacketsFromAsync(session)).Skip(before));
        Assert.Empty((await sessions.Outside.NamesAsync()).Skip(names));
    }

    private static string Escapes(string outside) => $$"""
        exec 2>/dev/null
        for a in {{Outside.Elsewhere}}; do
            for p in 22 53 80 443 853 5432; do timeout 2 bash -c "echo x > /dev/tcp/$a/$p" & timeout 2 bash -c "echo x > /dev/udp/$a/$p" & done; wait
            curl -m 3 -k https://$a/ & curl -m 3 -k -H "Host: forbidden.test" http://$a/ & curl -m 3 -k --resolve forbidden.test:443:$a https://forbidden.test/ & wait
            python3 -c "
        import socket
        for p in (1, 17, 47, 132):
            try: socket.socket(2, 3, p).sendto(bytes(8), (\"$a\", 9))
            except OSError: pass
        for n in range(20):
            try: socket.gethostbyname(\"data-%d.tunnel.test\" % n)
            except OSError: pass
        "
        done >/dev/null; true
        """;
}
