using System.Text.RegularExpressions;
using Discobot.Integration.Fixtures;
using Discobot.Integration.Init;

namespace Discobot.Integration.Egress;

/// <summary>
/// What somebody tries who knows how sandboxes are left: <c>Clients/escapes.py</c>, run as the agent's user where egress is enforced. Each way is for
/// an address of its own, so that a packet that leaves tells which it was.
/// </summary>
[Collection("egress")]
public sealed partial class WaysOutTests(EgressSessions sessions)
{
    public static TheoryData<Distro> Distros => [Distro.Debian, Distro.Alpine];

    [Theory, MemberData(nameof(Distros))]
    public async Task None_of_more_than_thirty_ways_leads_out(Distro distro)
        => await TryAllAsync(await sessions.OfAsync(distro), () => Task.CompletedTask);

    /// <summary>By what is allowed, by the proxy, its resolver and its interface, and by the kernel's other doors.</summary>
    [Theory, MemberData(nameof(Distros))]
    public async Task None_of_thirty_more_ways_does_by_what_is_allowed_or_in_anothers_name(Distro distro)
    {
        var session = await sessions.AllowedOfAsync(distro);
        // The proxy takes the family that answers first.
        var outside = new[] { sessions.Outside.Address, await sessions.Outside.Address6Async() };
        string[] allowed = [.. outside.SelectMany(address => (string[])[$"6 {address} 80", $"6 {address} 443", $"6 {address} 5432", $"6 {address} 8080", $"17 {address} 53", $"6 {address} 53"])];
        await TryAllAsync(session, () => Task.CompletedTask, $"/clients/python /clients/more_escapes.py {sessions.Outside.Address}", atLeast: 35, isAllowed: allowed.Contains);
        Assert.Equal("hello deep.allowed.test\n", await EgressSessions.AsAgentAsync(session, "wget -q -O - http://deep.allowed.test/"));
    }

    [Fact]
    public async Task None_does_while_the_proxy_is_killed_again_and_again()
    {
        await using var session = await sessions.StartAsync(Distro.Debian, EgressSessions.Enforced);
        await TryAllAsync(session, async () => await session.ShellAsync("for i in $(seq 40); do pkill -KILL -u discobot-proxy; sleep 0.4; done; true"));
        await session.SeeAsync("HTTP proxy ready on port", times: 2);
    }

    /// <summary>Whoever may speak to Docker can have things done as root.</summary>
    [Fact]
    public async Task None_by_Dockers_guarded_socket_does()
    {
        await using var session = sessions.New(Distro.Debian, EgressSessions.Enforced, docker: true);
        await session.StartAsync();
        await session.SeeAsync("startup completed");
        await session.ShellAsync(NestedEgressTests.MakeImage);
        await TryAllAsync(session, () => Task.CompletedTask, $"/clients/python /clients/docker_escapes.py {Outside.Elsewhere}", atLeast: 100);
    }

    private async Task TryAllAsync(SessionContainer session, Func<Task> meanwhile, string? tries = null, int atLeast = 30, Func<string, bool>? isAllowed = null)
    {
        var packets = (await sessions.Outside.PacketsFromAsync(session)).Count;
        var said = EgressSessions.AsAgentAsync(session, (tries ?? $"/clients/python /clients/escapes.py {sessions.Outside.Address}") + " 2>&1");
        await meanwhile();
        var lines = (await said).Split('\n', StringSplitOptions.RemoveEmptyEntries);
        var left = (await sessions.Outside.PacketsFromAsync(session)).Skip(packets).Where(packet => isAllowed?.Invoke(packet) != true).Distinct().ToList();
        Assert.True(left.Count == 0, $"left: {string.Join(", ", left)}");
        Assert.DoesNotContain(await sessions.Outside.NamesAsync(), name => name.Contains("tunnel", StringComparison.OrdinalIgnoreCase));
        Assert.True(lines.Length == 1, $"said: {string.Join(", ", lines)}");
        Assert.True(int.Parse(Tried().Match(lines[^1]).Groups[1].Value, System.Globalization.CultureInfo.InvariantCulture) >= atLeast, lines[^1]);
    }

    [GeneratedRegex("^tried ([0-9]+) ways$")]
    private static partial Regex Tried();
}
