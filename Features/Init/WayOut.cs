using Discobot.Features.Egress;
using Discobot.Infrastructure.Native;

namespace Discobot.Features.Init;

/// <summary>Leads everybody to the proxy, and leaves word of it for the tools.</summary>
internal sealed class WayOut(Container container, EgressRules egress)
{
    private const string RulesStep = "egress rules";
    private const string LeadStep = "way out";
    private const string Listening = "0A";
    private static readonly string[] Sockets = ["/proc/net/tcp", "/proc/net/tcp6"];

    public async Task RunAsync(ClientProxy proxy, EgressOptions asked)
    {
        await egress.LeadAsync(proxy);
        if (ProxyState.Read(container.Paths) is { } state)
        {
            ProxyConfig.Publish(container, state with
            {
                Egress = EgressOptions.Word(egress.Mode),
                EgressAsked = EgressOptions.Word(asked.Mode),
                EgressPort = asked.Port,
                Probe = [.. asked.Probe.Select(a => a.ToString())],
            });
        }
    }

    /// <summary>Whether the mode that was asked for is in force.</summary>
    public static Finding CheckRules(SeenContainer seen) => ProxyState.Read(seen.Paths) switch
    {
        not { Egress: not null } => SeenContainer.Absent(RulesStep, "the start has not told what is in force"),
        { EgressAsked: "open" } => SeenContainer.Absent(RulesStep, "egress.mode is open: whoever does not use the proxy goes out directly"),
        // One that was asked for by name would have been kept, or the agent not started.
        var state when state.Egress != state.EgressAsked => SeenContainer.Absent(RulesStep,
            $"egress.mode would be {state.EgressAsked}, and {state.Egress} is in force: run the container with --cap-add NET_ADMIN, see the lines about egress in `docker logs`"),
        var state => SeenContainer.Step(RulesStep, true, $"egress.mode {state.Egress} is in force", Doctor.Restart),
    };

    /// <summary>Whether somebody serves what the rules redirect.</summary>
    public static Finding CheckEntry(SeenContainer seen)
    {
        if (ProxyState.Read(seen.Paths) is not { Egress: "redirect" or "enforce" } state)
            return SeenContainer.Absent(LeadStep, "nothing is redirected");
        var suffix = $":{state.EgressPort:X4}";
        var serves = Sockets.Where(File.Exists).SelectMany(path => RegularFile.ReadAllLines(path))
            .Any(line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries) is [_, var own, _, Listening, ..] && own.EndsWith(suffix, StringComparison.Ordinal));
        return SeenContainer.Step(LeadStep, serves, serves ? $"the transparent entry serves, on port {state.EgressPort}" : $"nobody serves port {state.EgressPort}: what is redirected is refused",
            "read the proxy's lines in `docker logs`; " + Doctor.Restart);
    }
}
