namespace Discobot.Features.Egress;

/// <param name="Mode">What is let out.</param>
/// <param name="ProxyUser">The only user whose packets may leave: the proxy's.</param>
/// <param name="EntryPort">Where redirected connections are served, on 127.0.0.1 and ::1.</param>
/// <param name="DnsPort">Where redirected questions are answered, on 127.0.0.1 and ::1, over UDP and TCP.</param>
internal sealed record EgressPlan(EgressMode Mode, uint ProxyUser, ushort EntryPort, ushort DnsPort)
{
    /// <summary>False until the proxy serves: nothing is redirected, and while that is enforced only root, which prepares the container, leaves.</summary>
    public bool IsServed { get; init; } = true;
}

/// <summary>The packet filter of this network namespace, as far as it is ours. What was set ends when it is disposed, or the process ends.</summary>
internal interface IEgressTable : IDisposable
{
    /// <summary>Puts the plan into force, in place of the one before, in one transaction.</summary>
    /// <exception cref="Infrastructure.Native.LibcException">EPERM without CAP_NET_ADMIN in this network namespace; nothing was changed.</exception>
    void Set(EgressPlan plan);
}
