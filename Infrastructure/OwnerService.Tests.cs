using System.Net;
using System.Net.Sockets;
using Discobot.Infrastructure.Native;
using Discobot.Tests.Fixtures;

namespace Discobot.Infrastructure;

public sealed class OwnerServiceTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("owners-").FullName;

    public void Dispose() => Directory.Delete(_directory, true);

    [Theory, InlineData("127.0.0.1"), InlineData("::1")]
    public async Task A_connection_is_of_the_user_and_the_program_that_made_it(string address)
    {
        using var listener = new TcpListener(IPAddress.Parse(address), 0);
        listener.Start();
        using var client = new Socket(SocketType.Stream, ProtocolType.Tcp);
        await client.ConnectAsync((IPEndPoint)listener.LocalEndpoint);
        using var accepted = await listener.AcceptSocketAsync();
        var from = (IPEndPoint)accepted.RemoteEndPoint!;

        var path = Path.Combine(_directory, "socket");
        using var stop = new CancellationTokenSource();
        var serving = OwnerService.Listen(path, new Owner(Libc.GetUser(), Libc.GetUserGroup()), Counted)(stop.Token);
        ConnectionOwner? owner = null;
        await Eventually.TrueAsync(async () => (owner = await OwnerService.AskAsync(from, default, path)) is not null);
        Assert.Equal((Libc.GetUser(), Environment.ProcessId, Environment.ProcessPath), (owner!.User, owner.Process, owner.Program));
        Assert.Equal(Parents(Environment.ProcessId), owner.Parents);
        from.Port = 1;
        Assert.Null(await OwnerService.AskAsync(from, default, path));
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => serving);
        Assert.Null(await OwnerService.AskAsync(from, default, path));
    }

    [Fact]
    public async Task Many_are_asked_about_at_once_and_each_is_answered_for_itself()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var clients = Enumerable.Range(0, 100).Select(_ => new Socket(SocketType.Stream, ProtocolType.Tcp)).ToList();
        var from = new List<IPEndPoint>();
        foreach (var client in clients)
        {
            await client.ConnectAsync((IPEndPoint)listener.LocalEndpoint);
            from.Add((IPEndPoint)client.LocalEndPoint!);
        }

        from.Insert(70, new IPEndPoint(IPAddress.Loopback, 1));
        var path = Path.Combine(_directory, "socket");
        using var stop = new CancellationTokenSource();
        var serving = OwnerService.Listen(path, new Owner(Libc.GetUser(), Libc.GetUserGroup()), Counted)(stop.Token);
        IReadOnlyList<ConnectionOwner?> owners = [];
        await Eventually.TrueAsync(async () => (owners = await OwnerService.AskAllAsync(from, default, path)).Any(o => o is not null));
        Assert.Equal(from.Select((_, i) => i == 70 ? 0 : Environment.ProcessId), owners.Select(o => o?.Process ?? 0));
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => serving);
        clients.ForEach(c => c.Dispose());
    }

    // As ps(1) tells them.
    private static List<string> Parents(int process)
    {
        var parents = new List<string>();
        while (true)
        {
            using var ps = System.Diagnostics.Process.Start(new System.Diagnostics.ProcessStartInfo("ps", $"-o ppid= -p {process}") { RedirectStandardOutput = true })!;
            process = int.Parse(ps.StandardOutput.ReadToEnd().Trim(), System.Globalization.CultureInfo.InvariantCulture);
            if (process == 0 || parents.Count == 8)
                return parents;
            parents.Add(new FileInfo($"/proc/{process}/exe").LinkTarget ?? "");
        }
    }

    [Fact]
    public async Task What_the_packet_filter_has_counted_is_told_by_kind()
    {
        var path = Path.Combine(_directory, "socket");
        using var stop = new CancellationTokenSource();
        var serving = OwnerService.Listen(path, new Owner(Libc.GetUser(), Libc.GetUserGroup()), Counted)(stop.Token);
        Assert.Equal(Counted().OrderBy(c => c.Key), (await OwnerService.AskRefusedAsync(default, path)).OrderBy(c => c.Key));
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => serving);
        Assert.Empty(await OwnerService.AskRefusedAsync(default, path));
    }

    private static Dictionary<string, long> Counted() => new() { ["udp"] = 3, ["icmp"] = 1L << 40 };

    [Fact]
    public async Task Where_nobody_answers_nobody_is_waited_for() =>
        Assert.Null(await OwnerService.AskAsync(new IPEndPoint(IPAddress.Loopback, 1), default, Path.Combine(_directory, "none")));

    [Fact]
    public async Task Whoever_asks_nonsense_or_leaves_keeps_nobody_from_an_answer()
    {
        var path = Path.Combine(_directory, "socket");
        using var stop = new CancellationTokenSource();
        var serving = OwnerService.Listen(path, new Owner(Libc.GetUser(), Libc.GetUserGroup()), Counted)(stop.Token);
        foreach (var question in new[] { "", "nonsense\n", new string('x', 5000) })
        {
            using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(path));
            await socket.SendAsync(System.Text.Encoding.ASCII.GetBytes(question));
        }

        Assert.Null(await OwnerService.AskAsync(new IPEndPoint(IPAddress.Loopback, 1), default, path));
        Assert.False(serving.IsCompleted);
        await stop.CancelAsync();
    }
}
