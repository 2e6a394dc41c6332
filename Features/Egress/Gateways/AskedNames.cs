using System.Net;
using Discobot.Infrastructure.Wire;

namespace Discobot.Features.Egress.Gateways;

/// <summary>Which names each client asked for lately and got our own address for. Bounded: who asks for more forgets the oldest.</summary>
internal sealed class AskedNames(TimeProvider time) : IAskedNames
{
    private const int MaxClients = 1024;
    private const int MaxNames = 128;

    /// <summary>Programs go on using an address after its time is over, as in <see cref="Dns.LearnedNames"/>.</summary>
    private static readonly TimeSpan Kept = TimeSpan.FromMinutes(10);

    private readonly Lock _lock = new();
    private readonly Dictionary<IPAddress, Dictionary<string, DateTimeOffset>> _clients = [];

    public void Remember(IPAddress client, string name)
    {
        var now = time.GetUtcNow();
        lock (_lock)
        {
            if (!_clients.TryGetValue(client, out var names))
            {
                if (_clients.Count >= MaxClients)
                    _clients.Remove(_clients.MinBy(c => c.Value.Values.Max()).Key);
                _clients[client] = names = [];
            }

            names[name] = now;
            if (names.Count > MaxNames)
                names.Remove(names.MinBy(n => n.Value).Key);
        }
    }

    public IReadOnlyCollection<string> AskedBy(IPAddress client)
    {
        var since = time.GetUtcNow() - Kept;
        lock (_lock)
        {
            // Who asks over one family and connects over the other is known by another address: then it is one of the names that anybody asked for.
            var names = _clients.TryGetValue(client, out var own) ? own : _clients.Values.SelectMany(each => each);
            return [.. names.Where(n => n.Value > since).Select(n => n.Key).Distinct()];
        }
    }
}
