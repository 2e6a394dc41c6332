using System.Net;
using System.Net.Sockets;
using Discobot.Infrastructure.Native;

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
        var serving = OwnerService.Listen(path, new Owner(Libc.GetUser(), Libc.GetUserGroup()))(stop.Token);
        Assert.Equal(new ConnectionOwner(Libc.GetUser(), Environment.ProcessId, Environment.ProcessPath!), await OwnerService.AskAsync(from, default, path));
        from.Port = 1;
        Assert.Null(await OwnerService.AskAsync(from, default, path));
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => serving);
        Assert.Null(await OwnerService.AskAsync(from, default, path));
    }

    [Fact]
    public async Task Where_nobody_answers_nobody_is_waited_for() =>
        Assert.Null(await OwnerService.AskAsync(new IPEndPoint(IPAddress.Loopback, 1), default, Path.Combine(_directory, "none")));

    [Fact]
    public async Task Whoever_asks_nonsense_or_leaves_keeps_nobody_from_an_answer()
    {
        var path = Path.Combine(_directory, "socket");
        using var stop = new CancellationTokenSource();
        var serving = OwnerService.Listen(path, new Owner(Libc.GetUser(), Libc.GetUserGroup()))(stop.Token);
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
