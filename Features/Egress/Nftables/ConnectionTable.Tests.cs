using Discobot.Tests.Fixtures;

namespace Discobot.Features.Egress.Nftables;

public sealed class ConnectionTableTests
{
    [Theory]
    [InlineData(0, 65536, false)]
    [InlineData(62_000, 65536, false)]
    [InlineData(62_260, 65536, true)]
    [InlineData(65_536, 65536, true)]
    [InlineData(1_000_000, 0, false)]
    public void It_is_full_before_the_last_connection(long count, long limit, bool isFull) => Assert.Equal(isFull, new ConnectionTable(count, limit).IsFull);

    [Fact]
    public void The_kernel_tells_how_many_there_are_in_this_network() => ScratchNamespace.Run(() =>
    {
        using var table = new EgressTable();
        table.Set(new EgressPlan(EgressMode.Enforce, ProxyUser: 0, EntryPort: 17082, DnsPort: 17053));
        // Files of /proc/sys/net are those of the network of the thread that reads them.
        var before = ConnectionTable.Read()!;
        ScratchNamespace.Shell("for port in 97 98 99; do echo data | nc -u -w 1 203.0.113.9 $port 2>&1; done; true");
        Assert.Equal(before with { Count = before.Count + 3 }, ConnectionTable.Read());
    });

    [Fact]
    public void Where_the_kernel_does_not_tell_nothing_is_known()
    {
        var directory = Directory.CreateTempSubdirectory("connections").FullName;
        Assert.Null(ConnectionTable.Read(directory));
        File.WriteAllText(Path.Combine(directory, "nf_conntrack_count"), "12\n");
        File.WriteAllText(Path.Combine(directory, "nf_conntrack_max"), "none\n");
        Assert.Null(ConnectionTable.Read(directory));
        File.WriteAllText(Path.Combine(directory, "nf_conntrack_max"), "4096\n");
        Assert.Equal(new ConnectionTable(12, 4096), ConnectionTable.Read(directory));
        Directory.Delete(directory, recursive: true);
    }

    [Fact]
    public async Task A_table_that_is_full_is_told_once_with_what_to_do_and_so_is_that_there_is_room_again()
    {
        var seen = new Queue<ConnectionTable?>([new(10, 100), null, new(100, 100), new(99, 100), new(60, 100), new(96, 100), new(40, 100), new(97, 100)]);
        var lines = new List<string>();
        using var stop = new CancellationTokenSource();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => ConnectionTable.WatchAsync(Next, lines.Add, new HurriedTime(), stop.Token));
        Assert.Equal(3, lines.Count);
        Assert.Contains("is full (100 of 100 connections): no new connection gets through, whether it is allowed or not; ", lines[0], StringComparison.Ordinal);
        Assert.Contains("raise net.netfilter.nf_conntrack_max on the machine", lines[0], StringComparison.Ordinal);
        Assert.Contains("has room again (40 of 100 connections)", lines[1], StringComparison.Ordinal);
        Assert.Contains("is full (97 of 100 connections)", lines[2], StringComparison.Ordinal);

        ConnectionTable? Next()
        {
            if (seen.Count == 1)
                stop.Cancel();
            return seen.Dequeue();
        }
    }
}
