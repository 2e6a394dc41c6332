using System.Text.Json;
using Discobot.Integration.Fixtures;

namespace Discobot.Integration.Egress;

/// <summary>What <c>discobot doctor</c> says of the way out, in sessions with the world outside.</summary>
[Collection("egress")]
public sealed class DoctorEgressTests(EgressSessions sessions)
{
    [Theory, MemberData(nameof(EscapeTests.Distros), MemberType = typeof(EscapeTests))]
    public async Task Where_it_is_enforced_every_attempt_is_held_or_led_and_no_packet_leaves(Distro distro)
    {
        var session = await sessions.OfAsync(distro);
        var before = (await sessions.Outside.PacketsFromAsync(session)).Count;
        var (_, said) = await session.TryAsync("discobot", "doctor", "--json", "--url", "http://forbidden.test/");
        var findings = JsonDocument.Parse(said).RootElement.EnumerateArray().ToList();
        var egress = findings.Where(f => f.GetProperty("area").GetString() == "egress").ToList();
        Assert.Equal(13, egress.Count);
        Assert.All(egress, f => Assert.True(f.GetProperty("result").GetString() == "ok", f.ToString()));
        Assert.All((string[])["egress rules", "way out", "agent-api"], name => Assert.Contains(findings, f => f.GetProperty("name").GetString() == name && f.GetProperty("result").GetString() == "ok"));
        Assert.Empty((await sessions.Outside.PacketsFromAsync(session)).Skip(before));
    }

    [Fact]
    public async Task Where_it_is_open_it_tells_what_goes_out()
    {
        await using var session = await sessions.StartAsync(Distro.Debian, $"egress:\n  mode: open\n  probe: [{Outside.Elsewhere}]\n");
        var (_, said) = await session.TryAsync("discobot", "doctor", "--url", "http://allowed.test/");
        Assert.Contains($"{Outside.Elsewhere}:443 was reached: goes past the proxy (egress.mode open)", said, StringComparison.Ordinal);
        Assert.Contains("held: ", said, StringComparison.Ordinal);
    }
}
