using Discobot.Integration.Fixtures;

namespace Discobot.Integration.Init;

/// <summary>The workspace's own configuration comes first, and is somebody's file.</summary>
public sealed class WorkspaceConfigTests
{
    private static readonly string[] Bad =
    [
        "ln -s /etc/shadow config.yaml",
        "mkfifo config.yaml",
        "truncate -s 1G config.yaml",
        "echo 'cache: [' > config.yaml",
        "printf 'cache:\\n  dir: /etc\\nlogging:\\n  file: /etc/cron.d/x\\n' > config.yaml",
        "printf '\\377\\376' > config.yaml",
        "cd ..; rmdir proxy; ln -s /etc proxy",
    ];

    [Theory, MemberData(nameof(Distro.All), MemberType = typeof(Distro))]
    public async Task A_good_one_is_copied_and_in_force(Distro distro)
    {
        await using var container = new SessionContainer(distro);
        container.Prepare("mkdir -p /.workspace/.discobot/proxy; printf 'proxy:\\n  port: 18080\\ncache:\\n  max_size: 50GiB # more\\n' > /.workspace/.discobot/proxy/config.yaml");
        container.Environment["WORKSPACE_PATH"] = "/.workspace";
        container.Agent("echo $HTTPS_PROXY; exit 0");
        Assert.Equal(0, await container.RunAsync());
        Assert.Equal("proxy:\n  port: 18080\ncache:\n  max_size: 50GiB # more\n", await container.ReadAsync("/.data/proxy/config.yaml"));
        var log = await container.OutputAsync();
        Assert.Contains("HTTP proxy ready on port 18080\n", log, StringComparison.Ordinal);
        Assert.Contains("\nhttp://localhost:18080\n", log, StringComparison.Ordinal);
    }

    /// <summary>One container a distribution, started again for each: the agent makes the file in its session, the next start meets it.</summary>
    [Theory, MemberData(nameof(Distro.All), MemberType = typeof(Distro))]
    public async Task A_bad_one_is_refused_with_every_reason_and_the_default_serves(Distro distro)
    {
        await using var container = new SessionContainer(distro);
        container.Agent($"mkdir -p .discobot/proxy; cd .discobot/proxy; {Bad[0]}; exit 0");
        Assert.Equal(0, await container.RunAsync());
        for (var next = 1; next <= Bad.Length; next++)
        {
            var made = Bad[next - 1];
            container.Agent(next == Bad.Length ? "exit 0" : $"rm -r .discobot; mkdir -p .discobot/proxy; cd .discobot/proxy; {Bad[next]}; exit 0");
            Assert.Equal(0, await container.RunAsync());
            var log = await container.OutputAsync();
            Assert.True(log.Contains("error: proxy configuration NOT used:", StringComparison.Ordinal), $"{made}\n{log}");
            Assert.Contains("proxy config: built-in default", log, StringComparison.Ordinal);
            Assert.Contains("HTTP proxy ready on port 17080", log, StringComparison.Ordinal);
            if (made.Contains("cron", StringComparison.Ordinal))
                Assert.True(log.Contains("cache.dir", StringComparison.Ordinal) && log.Contains("logging.file", StringComparison.Ordinal), log);
        }
    }
}
