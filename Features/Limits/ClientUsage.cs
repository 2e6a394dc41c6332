using System.Net;
using Discobot.Infrastructure.Wire;

namespace Discobot.Features.Limits;

/// <summary>What each client has had of each limit, by its name (a string) or its address. It outlives changes of the limits, and no restart.</summary>
/// <param name="time">What tells rates and days.</param>
/// <param name="isContainers">Whether it is the proxy of a container, whose agent has as many addresses as it starts containers inside.</param>
internal sealed class ClientUsage(TimeProvider time, bool isContainers = false)
{
    /// <summary>Counted each for itself; of further ones, all are counted as one. A client that changes its address gets no memory of ours.</summary>
    private const int MostCounted = 4096;

    private readonly Dictionary<(string Host, object Client), Usage> _usages = [];
    private readonly Lock _gate = new();

    /// <summary>Counts a request.</summary>
    /// <param name="limit">Of the host.</param>
    /// <param name="client">The name that it has, from whatever addresses it comes, else its address.</param>
    /// <returns>How long to wait for the next that may come; null: this one may.</returns>
    public TimeSpan? Request(HostLimit limit, object client)
    {
        if (limit.RequestsPerSecond is not { } rate)
            return null;
        lock (_gate)
        {
            // A bucket that fills with the rate, and holds what may come at once (as nginx's limit_req with a burst).
            var usage = Of(limit, client);
            var now = time.GetTimestamp();
            usage.Requests = Math.Max(0, usage.Requests - time.GetElapsedTime(usage.CountedAt, now).TotalSeconds * rate);
            usage.CountedAt = now;
            if (usage.Requests + 1 > rate)
                return TimeSpan.FromSeconds((usage.Requests + 1 - rate) / rate);
            usage.Requests++;
            return null;
        }
    }

    /// <summary>Counts bytes that were sent either way.</summary>
    public void Count(HostLimit limit, object client, long bytes)
    {
        lock (_gate)
            Of(limit, client).Bytes += bytes;
    }

    /// <returns>How long to wait for the day on which there are bytes again; null: there are some.</returns>
    public TimeSpan? Exhausted(HostLimit limit, object client)
    {
        if (limit.BytesPerDay is not { } most)
            return null;
        lock (_gate)
        {
            var now = time.GetUtcNow();
            return Of(limit, client).Bytes >= most ? now.Date.AddDays(1) - now.UtcDateTime : null;
        }
    }

    private Usage Of(HostLimit limit, object client)
    {
        var today = DateOnly.FromDateTime(time.GetUtcNow().UtcDateTime);
        var key = (limit.Host.Text, client is IPAddress address ? Counted(address) : client);
        if (!_usages.TryGetValue(key, out var usage))
        {
            if (_usages.Count >= MostCounted)
            {
                foreach (var (old, _) in _usages.Where(one => one.Value.Day != today).ToList())
                    _usages.Remove(old);
            }

            if (_usages.Count >= MostCounted)
                key = (limit.Host.Text, IPAddress.None);
            if (!_usages.TryGetValue(key, out usage))
                _usages[key] = usage = new Usage { Day = today, CountedAt = time.GetTimestamp() };
        }

        if (usage.Day != today)
            (usage.Day, usage.Bytes) = (today, 0);
        return usage;
    }

    // A program of this machine chooses among the machine's addresses, and the sixteen million of 127/8, which one it comes from.
    private IPAddress Counted(IPAddress address)
    {
        var plain = address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address;
        return isContainers || IPAddress.IsLoopback(plain) || ListenAddresses.IsOwn(plain) ? IPAddress.Loopback : plain;
    }

    private sealed class Usage
    {
        public double Requests { get; set; }

        public long CountedAt { get; set; }

        public long Bytes { get; set; }

        public DateOnly Day { get; set; }
    }
}
