using System.Diagnostics;

namespace Discobot.Features.Shutdown;

public sealed class DockerClientsTests : IDisposable
{
    private const string Head = "Num       RefCount Protocol Flags    Type St Inode Path\n";
    private const string Listening = "ffff9: 00000002 00000000 00010000 0001 01 2217 /var/run/docker.sock\n";
    private const string Connected = "ffff8: 00000003 00000000 00000000 0001 03 2218 /var/run/docker.sock\n";
    private readonly string _file = Path.GetTempFileName();

    public void Dispose() => File.Delete(_file);

    [Theory]
    [InlineData(Head)]
    [InlineData(Head + Listening)]
    [InlineData(Head + "ffff8: 00000003 00000000 00000000 0001 03 2218 /run/other.sock\n")]
    public async Task With_nobody_connected_nothing_is_waited_for(string sockets) => Assert.True(await WaitedAsync(sockets, 5) < 1);

    [Fact]
    public async Task A_client_is_waited_for_within_the_budget() => Assert.InRange(await WaitedAsync(Head + Listening + Connected, 0.2), 0.2, 1.5);

    /// <summary>Where its configuration has the daemon listen.</summary>
    [Fact]
    public async Task So_is_one_of_a_socket_elsewhere()
        => Assert.InRange(await WaitedAsync(Head + "ffff8: 00000003 00000000 00000000 0001 03 2218 /run/other.sock\n", 0.2, ["/run/x.sock", "/run/other.sock"]), 0.2, 1.5);

    private async Task<double> WaitedAsync(string sockets, double budget, IEnumerable<string>? paths = null)
    {
        await File.WriteAllTextAsync(_file, sockets);
        var watch = Stopwatch.StartNew();
        await new DockerClients(paths ?? ["/var/run/docker.sock"], _file).LeaveAsync(TimeSpan.FromSeconds(budget));
        return watch.Elapsed.TotalSeconds;
    }
}
