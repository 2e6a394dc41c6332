using System.Globalization;

namespace Discobot.Features.Egress.Nftables;

/// <summary>
/// How full the kernel's table of connections (nf_conntrack) is. When it is full the kernel drops each packet that begins a new one, whoever sends it
/// and before any rule sees it: nothing gets out, what is allowed neither. The limit is the machine's, and cannot be changed in a container.
/// </summary>
/// <param name="Count">Connections of this network.</param>
/// <param name="Limit">From which on there are no new ones; 0: there is none.</param>
internal sealed record ConnectionTable(long Count, long Limit)
{
    public const string Directory = "/proc/sys/net/netfilter";

    /// <summary>What to do about it.</summary>
    public const string Remedy = "end what opens so many, or raise net.netfilter.nf_conntrack_max on the machine that runs the container";

    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(5);

    /// <summary>The last twentieth counts as full: it goes by in moments.</summary>
    public bool IsFull => Limit > 0 && Count >= Limit - Limit / 20;

    /// <summary>What it says of itself.</summary>
    public override string ToString() => Limit > 0 ? $"{Count} of {Limit} connections" : $"{Count} connections";

    /// <summary>Reads it; null where the kernel does not tell.</summary>
    public static ConnectionTable? Read(string directory = Directory)
    {
        try
        {
            return new ConnectionTable(Number("nf_conntrack_count"), Number("nf_conntrack_max"));
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or FormatException or OverflowException)
        {
            return null;
        }

        long Number(string name) => long.Parse(File.ReadAllText(Path.Combine(directory, name)).Trim(), NumberStyles.None, CultureInfo.InvariantCulture);
    }

    /// <summary>Tells when it becomes full, once until half of it is free again, which it tells too.</summary>
    /// <param name="read">Reads it.</param>
    /// <param name="tell">Called with each line.</param>
    /// <param name="time">What the pauses are measured by.</param>
    /// <param name="cancellation">Ends it.</param>
    public static async Task WatchAsync(Func<ConnectionTable?> read, Action<string> tell, TimeProvider time, CancellationToken cancellation)
    {
        using var timer = new PeriodicTimer(Interval, time);
        var isFull = false;
        do
        {
            if (read() is not { } table)
                continue;
            if (!isFull && table.IsFull)
                tell($"the kernel's table of connections is full ({table}): no new connection gets through, whether it is allowed or not; {Remedy}");
            else if (isFull && table.Count <= table.Limit / 2)
                tell($"the kernel's table of connections has room again ({table})");
            isFull = table.IsFull || (isFull && table.Count > table.Limit / 2);
        }
        while (await timer.WaitForNextTickAsync(cancellation));
    }
}
