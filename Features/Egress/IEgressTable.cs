using System.Net;

namespace Discobot.Features.Egress;

/// <param name="Mode">What is let out.</param>
/// <param name="ProxyUser">The only user whose packets may leave: the proxy's.</param>
/// <param name="EntryPort">Where redirected connections are served, on the addresses of <see cref="EgressFeature.Loopback"/>.</param>
/// <param name="DnsPort">Where redirected questions are answered, on the same, over UDP and TCP.</param>
internal sealed record EgressPlan(EgressMode Mode, uint ProxyUser, ushort EntryPort, ushort DnsPort)
{
    /// <summary>False until the proxy serves: nothing is redirected, and while that is enforced only root, which prepares the container, leaves.</summary>
    public bool IsServed { get; init; } = true;

    /// <summary>Whether containers of the inner Docker are led to the proxy, too.</summary>
    public bool LeadsContainers { get; init; } = true;

    /// <summary>Bridges, by their numbers, that are no network of the inner Docker's whatever their names are: they led somewhere before it was there.</summary>
    public IReadOnlyList<uint> Uplinks { get; init; } = [];

    /// <summary>Where Docker's own resolver, which works inside this network as root, asks on; null when there is none; empty: wherever it likes.</summary>
    public IReadOnlyList<IPAddress>? DockerAsks { get; init; }
}

/// <summary>The packet filter of this network namespace, as far as it is ours. What was set ends when it is disposed, or the process ends.</summary>
internal interface IEgressTable : IDisposable
{
    /// <summary>Puts the plan into force, in place of the one before, in one transaction.</summary>
    /// <exception cref="Infrastructure.Native.LibcException">EPERM without CAP_NET_ADMIN in this network namespace; nothing was changed.</exception>
    void Set(EgressPlan plan);

    /// <summary>Ends without taking away what was set, where the kernel can do that.</summary>
    void Leave();

    /// <summary>How many packets were refused since the table is there, by kind: <c>udp</c>, <c>icmp</c>, <c>other</c>.</summary>
    /// <exception cref="Infrastructure.Native.LibcException">The kernel does not tell.</exception>
    IReadOnlyDictionary<string, long> Refused();

    /// <summary>Where TCP went that was let past the proxy by a mode that does so, in the last hour.</summary>
    /// <exception cref="Infrastructure.Native.LibcException">The kernel does not tell.</exception>
    IReadOnlyList<IPEndPoint> Passed();

    /// <summary>Whether the rules that refuse are there.</summary>
    /// <exception cref="Infrastructure.Native.LibcException">The kernel does not tell.</exception>
    bool IsThere { get; }
}
