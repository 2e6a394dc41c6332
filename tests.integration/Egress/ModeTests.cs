using Discobot.Integration.Fixtures;

namespace Discobot.Integration.Egress;

/// <summary>Which mode is in force, and what the looser ones let out.</summary>
[Collection("egress")]
public sealed class ModeTests(EgressSessions sessions)
{
    private static readonly string[] NoNetwork = ["SYS_ADMIN"];

    [Fact]
    public async Task Redirected_web_requests_of_programs_that_know_no_proxy_are_seen_QUIC_is_refused_and_the_rest_goes_out()
    {
        await using var session = await sessions.StartAsync(Distro.Debian, EgressSessions.Redirected);
        Assert.Equal("hello forbidden.test\n", await EgressSessions.AsAgentAsync(session, "curl -sS https://forbidden.test/"));
        await session.SeeAsync("host=forbidden.test");
        Assert.Equal("greetings\n", await EgressSessions.AsAgentAsync(session, "python3 -c 'import socket; print(socket.create_connection((\"allowed.test\", 5432)).recv(99).decode(), end=\"\")'"));
        await EgressSessions.AsAgentAsync(session, $"for p in 443 444; do bash -c 'echo > /dev/udp/{Outside.Elsewhere}/'$p; done");
        var packets = await sessions.Outside.PacketsFromAsync(session);
        Assert.Contains($"17 {Outside.Elsewhere} 444", packets);
        Assert.DoesNotContain($"17 {Outside.Elsewhere} 443", packets);
    }

    [Fact]
    public async Task Redirected_names_are_answered_of_every_kind()
    {
        await using var session = await sessions.StartAsync(Distro.Alpine, EgressSessions.Redirected);
        Assert.Contains("text", await EgressSessions.AsAgentAsync(session, "nslookup -type=txt _some.text.test"), StringComparison.Ordinal);
        Assert.Contains("_some.text.test", await sessions.Outside.NamesAsync());
    }

    [Fact]
    public async Task Redirected_TLS_without_a_name_reaches_the_address_it_was_for()
    {
        await using var session = await sessions.StartAsync(Distro.Debian, EgressSessions.Redirected);
        Assert.Equal($"hello {Outside.Elsewhere}\n", await EgressSessions.AsAgentAsync(session, $"curl -sS https://{Outside.Elsewhere}/"));
    }

    [Fact]
    public async Task Without_the_right_to_set_rules_an_enforced_agent_does_not_start_and_a_redirected_one_is_told()
    {
        await using var enforced = sessions.New(Distro.Debian, EgressSessions.Enforced, capabilities: NoNetwork);
        Assert.Equal(1, await enforced.RunAsync());
        Assert.Contains("egress.mode enforce cannot be kept", await enforced.OutputAsync(), StringComparison.Ordinal);
        Assert.Contains("--cap-add NET_ADMIN", await enforced.OutputAsync(), StringComparison.Ordinal);

        await using var redirected = sessions.New(Distro.Debian, EgressSessions.Redirected, capabilities: NoNetwork);
        redirected.Agent("exit 0");
        Assert.Equal(0, await redirected.RunAsync());
        Assert.Contains("warning: programs that do not use the proxy go out directly", await redirected.OutputAsync(), StringComparison.Ordinal);
    }
}
