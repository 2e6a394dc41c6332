using System.Text.Json;
using Discobot.Integration.Fixtures;

namespace Discobot.Integration.Init;

[Collection("sessions")]
public sealed class DoctorTests(RunningSessions sessions)
{
    [Theory, MemberData(nameof(Distro.All), MemberType = typeof(Distro))]
    public async Task In_a_session_that_is_up_nothing_fails_and_what_is_there_was_tried(Distro distro)
    {
        var session = await sessions.OfAsync(distro);
        var findings = JsonDocument.Parse(await session.ExecAsync("discobot", "doctor", "--json", "--url", "https://registry.test/v2/")).RootElement.EnumerateArray().ToList();
        Assert.All(findings, f => Assert.True(f.GetProperty("result").GetString() is "ok" or "absent", f.ToString()));
        foreach (var name in new[] { "filesystem", "workspace", "workspace link", "proxy binary", "CA certificate", "login shells", "proxy", "API", "system", "wget" })
            Assert.Contains(findings, f => f.GetProperty("name").GetString() == name && f.GetProperty("result").GetString() == "ok");
        foreach (var client in new[] { "curl", "wget", "git", "python3", "node", "java", "docker" })
        {
            var isThere = (await session.TryAsync("sh", "-c", $"command -v {client}")).Code == 0;
            Assert.Contains(findings, f => f.GetProperty("name").GetString() == client && (f.GetProperty("result").GetString() == "ok") == isThere);
        }
    }

    [Theory, MemberData(nameof(Distro.Shells), MemberType = typeof(Distro))]
    public async Task What_fails_is_named_with_what_to_do_about_it(Distro distro)
    {
        await using var container = new SessionContainer(distro);
        container.Prepare("rm /opt/discobot/bin/proxy");
        await container.StartAsync();
        await container.SeeAsync("startup completed");
        await container.ExecAsync("discobot", "trust", "remove");
        var (code, said) = await container.TryAsync("discobot", "doctor", "--url", "https://registry.test/v2/");
        Assert.Equal(1, code);
        Assert.Matches("FAIL +step +proxy binary +/opt/discobot/bin/proxy\n +fix: ln -s discobot /opt/discobot/bin/proxy", said);
        Assert.Matches("FAIL +port +proxy +127.0.0.1:17080: ", said);
        Assert.Matches("FAIL +trust +system +the CA is not trusted .*\n +fix: discobot trust install", said);
        Assert.Matches("ok +step +filesystem +/home/discobot: overlay", said);
    }
}
