using Discobot.Integration.Fixtures;

namespace Discobot.Integration.Init;

/// <summary>Containers and builds of the Docker inside, where the image has one: they get the proxy and trust it, and images show no trace.</summary>
[Collection("sessions")]
public sealed class NestedTests(RunningSessions sessions)
{
    // An image with nothing but a shell, curl and what they load.
    private const string MakeImage = """
        { for p in /bin/sh /bin/sleep /usr/bin/curl /usr/bin/env; do echo $p; ldd $p | grep -o '/[^ )]*'; done; echo /etc/passwd; } | sort -u | tar -chf - -T - 2>/dev/null | docker import - client >/dev/null
        """;

    [Theory, MemberData(nameof(WithDocker))]
    public async Task Containers_and_builds_reach_https_through_the_proxy_and_leave_no_trace(Distro distro)
    {
        var session = await sessions.OfAsync(distro);
        await session.ShellAsync(MakeImage);
        const string Url = "https://registry.test/v2/";
        var before = (await session.OutputAsync()).Split("host=registry.test").Length;

        // As the agent, whose client hands the proxy on.
        var said = await AsAgentAsync(session, $"docker run --rm client sh -c 'curl -sS -o /dev/null -w %{{http_code}} {Url}; env'");
        Assert.StartsWith("200", said, StringComparison.Ordinal);
        Assert.Contains("SSL_CERT_FILE=/dev/discobot-ca-bundle.crt\n", said, StringComparison.Ordinal);
        Assert.Contains("NODE_EXTRA_CA_CERTS=/dev/discobot-ca.crt\n", said, StringComparison.Ordinal);

        await AsAgentAsync(session, $"mkdir -p /tmp/b; printf 'FROM client\\nRUN curl -sS -o /page {Url} && echo built > /built\\n' > /tmp/b/Dockerfile; DOCKER_BUILDKIT=0 docker build -q -t built /tmp/b");
        // Two requests, and two lines of the log for each.
        Assert.Equal(before + 4, (await session.OutputAsync()).Split("host=registry.test").Length);
        var files = await AsAgentAsync(session, "docker save built | tar -xOf - --wildcards '*/layer.tar' | tar -tf - -i | grep -E 'discobot|^page$|^built$'");
        Assert.Equal(["built", "page"], files.Split('\n', StringSplitOptions.RemoveEmptyEntries).Order());
        Assert.DoesNotContain("CERT", await AsAgentAsync(session, "docker image inspect -f '{{.Config.Env}}' built"), StringComparison.Ordinal);

        // Into a container that runs already.
        await AsAgentAsync(session, "docker run -d --name held client sleep 100");
        Assert.Equal("200", await AsAgentAsync(session, $"docker exec held curl -sS -o /dev/null -w %{{http_code}} {Url}; docker rm -f held >/dev/null"));
    }

    [Fact]
    public async Task They_are_left_alone_when_the_configuration_says_so()
    {
        await using var session = sessions.New(Distro.Debian, clients: false);
        session.Prepare("mkdir -p /.workspace/.discobot/proxy; printf 'init:\\n  nested_docker: false\\n' > /.workspace/.discobot/proxy/config.yaml");
        session.Environment["WORKSPACE_PATH"] = "/.workspace";
        await session.StartAsync();
        await session.SeeAsync("startup completed");
        await session.ShellAsync(MakeImage);
        var said = await AsAgentAsync(session, "docker run --rm client env");
        Assert.DoesNotContain("PROXY", said, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain("CERT", said, StringComparison.Ordinal);
    }

    public static TheoryData<Distro> WithDocker() => [Distro.Debian, Distro.Fedora];

    private static Task<string> AsAgentAsync(SessionContainer session, string script)
        => session.ExecAsync("discobot", "exec", "--user", "discobot", "--", "env", "HOME=/home/discobot", "sh", "-c", script);
}
