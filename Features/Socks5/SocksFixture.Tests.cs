using System.Net;
using System.Net.Sockets;
using Discobot.Infrastructure.Config;
using Discobot.Infrastructure.Wire;
using Discobot.Tests.Fixtures;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.Logging.Abstractions;

namespace Discobot.Features.Socks5;

/// <summary>A real listener in front of the server, real sockets behind it.</summary>
internal sealed class SocksFixture : IAsyncDisposable
{
    private readonly WebApplication _app;

    private SocksFixture(WebApplication app) => _app = app;

    public required IPEndPoint EndPoint { get; init; }

    public required OpenTraffic Traffic { get; init; }

    /// <param name="yaml">The <c>socks</c> section.</param>
    /// <param name="refuse">Hosts and addresses that are refused.</param>
    /// <param name="inspect">What interception is.</param>
    /// <param name="time">What limits are measured by.</param>
    /// <param name="resolve">Resolves names; null: the system does.</param>
    /// <param name="idle">How long a tunnel may be silent.</param>
    public static async Task<SocksFixture> StartAsync(
        string yaml = "{}", Func<string, bool>? refuse = null, Func<ConnectTarget, ConnectionContext, Task>? inspect = null,
        TimeProvider? time = null, Func<string, IPAddress[]>? resolve = null, StreamIdle? idle = null)
    {
        var options = ConfigDocument.Parse(yaml, "t").Read(n => SocksOptions.Read(n)).Value!;
        var policy = new Policy(refuse ?? (_ => false));
        var traffic = new OpenTraffic(policy, new UpstreamBytes(TestMetrics.New()), idle ?? StreamIdle.Unlimited, NullLogger<OpenTraffic>.Instance);
        var names = new NameLookups(resolve);
        var dialer = new Dialer(policy, new OwnListeners([]), ParentProxies.None, names);
        var socks = new SocksServer(
            options, policy, dialer, names, traffic, new ProxyUsers(options.Users, new SecretFiles()), HandshakeLimit.For(TimeSpan.FromSeconds(30)), time ?? TimeProvider.System, new FlowRecorder([]), NullLogger<SocksServer>.Instance);
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        inspect ??= (_, _) => throw new InvalidOperationException("not inspected");
        Task Serve(ConnectionContext connection) => socks.OnConnectionAsync(
            connection, inspect, connection.Features.Get<IConnectionLifetimeNotificationFeature>()!.ConnectionClosedRequested);
        builder.WebHost.UseKestrelCore().ConfigureKestrel(k => k.Listen(IPAddress.Loopback, 0, listen => listen.Run(Serve)));
        var app = builder.Build();
        await app.StartAsync();
        return new SocksFixture(app) { EndPoint = IPEndPoint.Parse(new Uri(app.Urls.Single()).Authority), Traffic = traffic };
    }

    public async Task<NetworkStream> OpenAsync()
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true, ReceiveTimeout = 5000 };
        await socket.ConnectAsync(EndPoint);
        return new NetworkStream(socket, ownsSocket: true);
    }

    /// <summary>Greets, asks, and gives back the reply's code; the stream is then the tunnel.</summary>
    public async Task<(NetworkStream Stream, byte Reply)> AskAsync(byte[] request)
    {
        var stream = await OpenAsync();
        await stream.WriteAsync(new byte[] { 5, 1, 0 });
        Assert.Equal([5, 0], await ReadAsync(stream, 2));
        await stream.WriteAsync(request);
        return (stream, (await ReadReplyAsync(stream)).Code);
    }

    public static async Task<(byte Code, IPEndPoint Bound)> ReadReplyAsync(Stream stream)
    {
        var head = await ReadAsync(stream, 4);
        Assert.Equal((5, 0), (head[0], head[2]));
        var address = await ReadAsync(stream, head[3] == 1 ? 4 : 16);
        var port = await ReadAsync(stream, 2);
        return (head[1], new IPEndPoint(new IPAddress(address), port[0] << 8 | port[1]));
    }

    public static async Task<byte[]> ReadAsync(Stream stream, int count)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(10));
        var bytes = new byte[count];
        await stream.ReadExactlyAsync(bytes, limit.Token);
        return bytes;
    }

    public static byte[] Connect(IPEndPoint to) => Request(1, to);

    public static byte[] Request(byte command, IPEndPoint to)
    {
        var address = new byte[SocksAddress.MaxLength];
        return [5, command, 0, .. address.AsSpan(0, SocksAddress.Write(to, address))];
    }

    public static byte[] Connect(string name, int port) =>
        [5, 1, 0, 3, (byte)name.Length, .. System.Text.Encoding.ASCII.GetBytes(name), (byte)(port >> 8), (byte)port];

    public async ValueTask DisposeAsync()
    {
        using var now = new CancellationTokenSource(0);
        await _app.StopAsync(now.Token);
        await _app.DisposeAsync();
    }

    private sealed class Policy(Func<string, bool> refuse) : IEgressPolicy
    {
        public EgressVerdict JudgeTunnel(ConnectTarget target, string? client = null) => Judge(target.Host);

        public EgressVerdict JudgeBlindTunnel(ConnectTarget target, string? client = null) => Judge(target.Host);

        public EgressVerdict JudgeRequest(ConnectTarget target, string method, string pathAndQuery, string? client = null) => Judge(target.Host);

        public EgressVerdict JudgeAddress(ConnectTarget target, IPAddress address) => Judge(address.ToString());

        private EgressVerdict Judge(string what) => refuse(what) ? EgressVerdict.Refuse("test", "No.") : EgressVerdict.Allow("test");
    }
}

/// <summary>An upstream that does what the test says with each connection.</summary>
internal sealed class Upstream : IDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);

    public Upstream(Func<NetworkStream, Socket, Task> serve)
    {
        _listener.Start();
        _ = AcceptAsync(serve);
    }

    public static Upstream Echo => new(async (stream, socket) =>
    {
        await stream.CopyToAsync(stream);
        socket.Shutdown(SocketShutdown.Send);
    });

    public IPEndPoint EndPoint => (IPEndPoint)_listener.LocalEndpoint;

    public void Dispose() => _listener.Dispose();

    private async Task AcceptAsync(Func<NetworkStream, Socket, Task> serve)
    {
        try
        {
            while (true)
                _ = ServeAsync(await _listener.AcceptSocketAsync(), serve);
        }
        catch (Exception e) when (e is SocketException or InvalidOperationException)
        {
            // Disposed.
        }
    }

    private static async Task ServeAsync(Socket socket, Func<NetworkStream, Socket, Task> serve)
    {
        await using var stream = new NetworkStream(socket, ownsSocket: true);
        await serve(stream, socket);
    }
}
