using Discobot.Features.Egress;

namespace Discobot.Features.Init;

/// <summary>What has to be true of the agent's user and of this container for the rules of the way out to hold it.</summary>
internal static class AgentLimits
{
    /// <summary>Why the agent is not held by the rules, or not by all that keeps it from undoing them; null where it is. Root takes back whatever is
    /// taken from it, and the proxy's own user is let out.</summary>
    public static string? Unheld(Container container, Owner proxy, EgressOptions options, EgressMode wanted)
    {
        const string Remedy = "set AGENT_USER to another user, or egress.trust_agent: true in the operator's policy";
        if (container.Agent.User == 0)
            return $"the agent runs as root, who can undo it; {Remedy}";
        if (container.Agent.User == proxy.User)
            return $"the agent has the number of the proxy's own user ({proxy.User}), who is let out; give discobot-proxy another in /etc/passwd, {Remedy}";
        if (wanted != EgressMode.Enforce)
            return null;
        if (!container.Services.HasCapability(Capabilities.SetPcap))
            return "what would undo it cannot be taken from the agent; run the container with --cap-add SETPCAP";
        // Who may gain privileges is limited by one (seccomp(2)).
        return options.NoNewPrivileges || container.Services.HasCapability(Capabilities.SysAdmin) ? null
            : "with egress.no_new_privs: false the agent's families of sockets cannot be limited; leave that out, or run the container with --cap-add SYS_ADMIN";
    }
}
