using Discobot.Integration.Fixtures;

namespace Discobot.Integration.Init;

/// <summary>Real clients of the distribution reach an https server through the proxy without a flag, as the agent's user.</summary>
[Collection("sessions")]
public sealed class ClientTests(RunningSessions sessions)
{
    private const string Url = "https://registry.test/v2/";

    private const string Request = "INFO  request    method=GET host=";

    // Python by urllib and by requests, Java by both of its clients.
    private static readonly (string Name, string Command, string Answer)[] Clients =
    [
        ("curl", $"curl -sS -o /dev/null -w %{{http_code}} {Url}", "200"),
        ("wget", $"wget -q -O - {Url}", "{}"),
        ("git", "git ls-remote https://packages.test/repo.git main", "refs/heads/main"),
        ("python3", $"python3 /clients/fetch.py {Url}", "200\n200"),
        ("node", $"node /clients/fetch.js {Url}", "200"),
        ("java", $"java /clients/Fetch.java {Url}", "200\n200"),
    ];

    [Theory, MemberData(nameof(Distro.All), MemberType = typeof(Distro))]
    public async Task Each_client_of_the_image_gets_through(Distro distro)
    {
        var session = await sessions.OfAsync(distro);
        await sessions.PackagesAsync();
        var tried = new List<string>();
        foreach (var (name, command, answer) in Clients)
        {
            if ((await session.TryAsync("sh", "-c", $"command -v {name}")).Code != 0)
                continue;
            var before = Requests(await session.OutputAsync());
            var said = await session.ExecAsync("discobot", "exec", "--user", "discobot", "--", "sh", "-l", "-c", command);
            Assert.True(said.Contains(answer, StringComparison.Ordinal), $"{name}: {said}");
            // That it went through the proxy is in the log, a moment later.
            await session.SeeAsync(Request, before + 1);
            tried.Add(name);
        }

        // Alpine's minimal root has busybox's wget and nothing else.
        Assert.Contains("wget", tried);
        Assert.True(tried.Count == Clients.Length || distro.Image == Distro.Alpine.Image, string.Join(", ", tried));
    }

    private static int Requests(string log) => log.Split(Request).Length - 1;
}
