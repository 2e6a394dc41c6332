using System.Net;
using System.Net.NetworkInformation;

namespace Discobot.Features.Limits;

/// <summary>The addresses of this machine's interfaces, read again when they are ten seconds old. Its owner's lock is its own.</summary>
internal sealed class MachineAddresses(TimeProvider time)
{
    private static readonly TimeSpan Age = TimeSpan.FromSeconds(10);
    private HashSet<IPAddress> _known = [];
    private long? _readAt;

    public bool Contains(IPAddress address)
    {
        if (_readAt is not { } at || time.GetElapsedTime(at) > Age)
        {
            _known = [.. NetworkInterface.GetAllNetworkInterfaces().SelectMany(i => i.GetIPProperties().UnicastAddresses).Select(a => a.Address)];
            _readAt = time.GetTimestamp();
        }

        return _known.Contains(address);
    }
}
