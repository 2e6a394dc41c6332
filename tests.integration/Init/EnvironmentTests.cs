using Discobot.Integration.Fixtures;

namespace Discobot.Integration.Init;

/// <summary>The variables in each kind of process.</summary>
[Collection("sessions")]
public sealed class EnvironmentTests(RunningSessions sessions)
{
    // With the container's own exception, which is kept.
    private static readonly string[] Nine = [.. ProxyVariables.Nine.Select(v => v.EndsWith("::1", StringComparison.Ordinal) ? v + ",corp.example" : v)];

    private static readonly string[] Bundles =
        ["SSL_CERT_FILE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "PIP_CERT", "GIT_SSL_CAINFO", "CARGO_HTTP_CAINFO", "AWS_CA_BUNDLE", "DENO_CERT"];

    [Theory, MemberData(nameof(Distro.All), MemberType = typeof(Distro))]
    public async Task The_agent_has_the_nine_and_those_that_point_at_the_full_bundle(Distro distro)
    {
        var session = await sessions.OfAsync(distro);
        var variables = (await session.ReadAsync("/tmp/agent.env")).Split('\n');
        Assert.All(Nine, variable => Assert.Contains(variable, variables));
        foreach (var name in Bundles)
        {
            var bundle = Assert.Single(variables, v => v.StartsWith(name + "=", StringComparison.Ordinal))[(name.Length + 1)..];
            Assert.Equal("0", (await session.ShellAsync($"discobot trust status --json | grep -q '\"bundle\": \"{bundle}\"'; echo $?")).Trim());
        }

        Assert.Contains("NODE_USE_ENV_PROXY=1", variables);
        Assert.Contains("UV_SYSTEM_CERTS=true", variables);
        Assert.Contains("UV_NATIVE_TLS=true", variables);
        var hasJava = (await session.TryAsync("sh", "-c", "command -v java")).Code == 0;
        Assert.Equal(hasJava, variables.Any(v => v.StartsWith("JAVA_TOOL_OPTIONS=-Djavax.net.ssl.trustStore=/var/lib/discobot/java-cacerts.p12 ", StringComparison.Ordinal)));
    }

    [Theory, MemberData(nameof(Distro.All), MemberType = typeof(Distro))]
    public async Task The_Docker_daemon_has_the_nine_where_there_is_one(Distro distro)
    {
        var session = await sessions.OfAsync(distro);
        if ((await session.TryAsync("sh", "-c", "command -v dockerd")).Code != 0)
        {
            Assert.DoesNotContain("Docker daemon started", await session.OutputAsync(), StringComparison.Ordinal);
            return;
        }

        var variables = (await session.ShellAsync("cat /proc/$(cat /var/run/docker.pid)/environ | tr '\\0' '\\n'")).Split('\n');
        Assert.All(Nine, variable => Assert.Contains(variable, variables));
    }

    [Theory, MemberData(nameof(NestedTests.WithDocker), MemberType = typeof(NestedTests))]
    public async Task The_Docker_daemon_has_none_when_the_proxy_is_not_up(Distro distro)
    {
        await using var container = new SessionContainer(distro) { Docker = true };
        container.Prepare("rm /opt/discobot/bin/proxy");
        await container.StartAsync();
        await container.SeeAsync("startup completed");
        Assert.Contains("Docker daemon ready", await container.OutputAsync(), StringComparison.Ordinal);
        var variables = (await container.ShellAsync("cat /proc/$(cat /var/run/docker.pid)/environ | tr '\\0' '\\n'")).Split('\n');
        Assert.Contains("SESSION_ID=session-1", variables);
        Assert.DoesNotContain(variables, v => v.Contains("PROXY=", StringComparison.OrdinalIgnoreCase) || v.Contains("CERT", StringComparison.Ordinal) || v.StartsWith("NODE", StringComparison.Ordinal));
    }

    /// <summary>It would call itself.</summary>
    [Theory, MemberData(nameof(Distro.Shells), MemberType = typeof(Distro))]
    public async Task The_proxy_itself_has_none_of_its_own(Distro distro)
    {
        var session = await sessions.OfAsync(distro);
        var log = await session.OutputAsync();
        var proxy = log[(log.IndexOf("proxy started (pid=", StringComparison.Ordinal) + 19)..].Split(')')[0];
        var variables = await session.ShellAsync($"tr '\\0' '\\n' < /proc/{proxy}/environ");
        Assert.Contains("SESSION_ID=session-1\n", variables, StringComparison.Ordinal);
        Assert.DoesNotContain("17080", variables, StringComparison.Ordinal);
    }

    /// <summary>Login shells, and the interactive ones of <c>docker exec -it</c>, of every kind that the image has.</summary>
    [Theory, MemberData(nameof(Distro.All), MemberType = typeof(Distro))]
    public async Task Every_shell_of_the_image_has_the_nine(Distro distro)
    {
        var session = await sessions.OfAsync(distro);
        string[] shells =
        [
            "sh -l -c", "bash -l -c", "dash -l -c", "busybox sh -l -c", "zsh -l -c",
            "sh -i -c", "bash -i -c", "dash -i -c", "busybox sh -i -c", "zsh -c",
        ];
        var seen = new List<string>();
        foreach (var shell in shells)
        {
            if ((await session.TryAsync("sh", "-c", $"command -v {shell.Split(' ')[0]}")).Code != 0)
                continue;
            foreach (var user in new[] { "root", "discobot" })
            {
                var variables = (await session.ExecAsync(["discobot", "exec", "--user", user, "--", .. shell.Split(' '), "env"])).Split('\n').Select(l => l.TrimEnd('\r'));
                Assert.All(Nine, variable => Assert.True(variables.Contains(variable), $"{shell} of {user}: no {variable}"));
                Assert.True(variables.Any(v => v.StartsWith("SSL_CERT_FILE=/", StringComparison.Ordinal)), $"{shell} of {user}: no bundle");
            }

            seen.Add(shell);
        }

        Assert.True(seen.Count >= 4, string.Join(", ", seen));
    }

    [Theory, MemberData(nameof(Distro.Shells), MemberType = typeof(Distro))]
    public async Task Without_a_directory_for_profiles_etc_profile_has_them_once(Distro distro)
    {
        await using var container = new SessionContainer(distro);
        container.Prepare("rm -rf /etc/profile.d; printf 'mine=1\\n' > /etc/profile");
        container.Environment["NO_PROXY"] = "corp.example";
        container.Agent("exit 0");
        Assert.Equal(0, await container.RunAsync());
        container.AgentSays("env -i sh -l -c 'echo $mine; env'");
        Assert.Equal(0, await container.RunAsync());
        var lines = (await container.OutputAsync()).Split('\n');
        Assert.All(Nine.Append("1"), variable => Assert.Contains(variable, lines));
        Assert.Single((await container.ReadAsync("/etc/profile")).Split('\n'), l => l.StartsWith("export HTTP_PROXY", StringComparison.Ordinal));
    }

    [Theory, MemberData(nameof(Distro.Shells), MemberType = typeof(Distro))]
    public async Task Only_the_nine_are_set_when_the_configuration_says_so(Distro distro)
    {
        await using var container = new SessionContainer(distro);
        container.Prepare("mkdir -p /.workspace/.discobot/proxy; printf 'init:\\n  extra_env: false\\n' > /.workspace/.discobot/proxy/config.yaml");
        container.Environment["WORKSPACE_PATH"] = "/.workspace";
        container.Agent("env; exit 0");
        Assert.Equal(0, await container.RunAsync());
        var lines = (await container.OutputAsync()).Split('\n');
        Assert.All(ProxyVariables.Nine, variable => Assert.Contains(variable, lines));
        Assert.DoesNotContain(lines, l => Bundles.Any(b => l.StartsWith(b, StringComparison.Ordinal)));
    }
}
