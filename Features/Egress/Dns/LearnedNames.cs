using System.Net;
using Discobot.Infrastructure.Wire;

namespace Discobot.Features.Egress.Dns;

/// <summary>Which names our resolver gave which addresses for lately: what a connection to a bare address is judged by, when nothing in it tells its
/// name. Bounded; the oldest goes first.</summary>
internal sealed class LearnedNames(TimeProvider time) : IAddressNames
{
    private const int Limit = 10_000;

    /// <summary>Programs go on using an address after its time is over; most connect within seconds, and pools come back later.</summary>
    private static readonly TimeSpan Grace = TimeSpan.FromMinutes(10);

    private readonly Lock _lock = new();
    private readonly Dictionary<IPAddress, (string Name, DateTimeOffset Until)> _names = [];
    private readonly Queue<IPAddress> _order = [];

    public void Remember(string name, DnsAnswer answer)
    {
        lock (_lock)
        {
            foreach (var record in answer.Records)
            {
                if (record.Address is not { } address)
                    continue;
                if (!_names.ContainsKey(address))
                    _order.Enqueue(address);
                _names[address] = (name, time.GetUtcNow() + TimeSpan.FromSeconds(record.Seconds) + Grace);
                while (_names.Count > Limit)
                    _names.Remove(_order.Dequeue());
            }
        }
    }

    /// <summary>The name that was last answered with this address; null when none was lately.</summary>
    public string? Find(IPAddress address)
    {
        lock (_lock)
            return _names.TryGetValue(address, out var found) && found.Until > time.GetUtcNow() ? found.Name : null;
    }
}
