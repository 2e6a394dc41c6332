using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Text;
using Discobot.Tests.Fixtures;
using Microsoft.AspNetCore.Http;

namespace Discobot.Features.Cache.Revalidation;

/// <summary>The whole proxy, and a registry that goes behind something which drops its packets.</summary>
public sealed class DroppedPacketsTests
{
    [Fact]
    public async Task A_registry_that_swallows_connections_is_waited_for_once_and_what_is_stored_answers()
    {
        await using var proxy = await RunningProxy.StartAsync("allowlist: { enabled: false }");
        using var client = proxy.Client();
        int port;
        await using (var origin = await TestOrigin.StartAsync(proxy.Upstreams.Issue(["localhost"]), context => context.Response.WriteAsync("one"), IPAddress.Loopback))
        {
            port = origin.HttpPort;
            for (var i = 0; i < 3; i++)
                Assert.Equal("one", await client.GetStringAsync($"http://127.0.0.1:{port}/simple/thing{i}/"));
        }

        using var swallowing = new Swallowing(port);
        for (var i = 0; i < 3; i++)
        {
            using var response = await client.GetAsync($"http://127.0.0.1:{port}/simple/thing{i}/");
            Assert.Equal((HttpStatusCode.OK, "one"), (response.StatusCode, await response.Content.ReadAsStringAsync()));
            Assert.Contains("stale", response.Headers.GetValues("Cache-Status").Single(), StringComparison.Ordinal);
        }

        var stale = (await ReadAsync(proxy.LogFile)).Where(line => line.Contains("cache answers with what was stored", StringComparison.Ordinal)).ToList();
        Assert.Equal([false, true, true], stale.Select(line => line.Contains("a moment ago", StringComparison.Ordinal)));
    }

    /// <summary>As where a network was left, or a router forgot: nobody acknowledges anything, and nobody says so.</summary>
    [Theory]
    [InlineData(true, "one")]
    [InlineData(false, "two")]
    public async Task Connections_that_were_kept_and_are_silently_gone_are_given_up_for_new_ones_or_for_what_is_stored(bool isAway, string expected)
    {
        const int Connections = 3;
        await using var proxy = await RunningProxy.StartAsync("allowlist: { enabled: false }", proxySection: ", upstream_timeout: 10m");
        using var client = proxy.Client();
        using var origin = new Deaf(Connections);
        Assert.All(await Task.WhenAll(Enumerable.Range(0, Connections).Select(i => client.GetStringAsync($"{origin.Url}/simple/thing{i}/"))), text => Assert.Equal("one", text));

        origin.Deafen(isAway);
        using var response = await client.GetAsync($"{origin.Url}/simple/thing0/");
        Assert.Equal((HttpStatusCode.OK, expected), (response.StatusCode, await response.Content.ReadAsStringAsync()));
        Assert.Equal(isAway, response.Headers.Contains("Warning"));
    }

    private static async Task<string[]> ReadAsync(string file)
    {
        var lines = Array.Empty<string>();
        await Eventually.TrueAsync(async () =>
        {
            lines = await File.ReadAllLinesAsync(file);
            return lines.Count(line => line.Contains("cache answers with what was stored", StringComparison.Ordinal)) == 3;
        });
        return lines;
    }

    /// <summary>A port whose queue is full: the kernel drops what else wants to connect.</summary>
    private sealed class Swallowing : IDisposable
    {
        private readonly List<Socket> _sockets = [];

        public Swallowing(int port)
        {
            var listener = New();
            listener.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.ReuseAddress, true);
            listener.Bind(new IPEndPoint(IPAddress.Loopback, port));
            listener.Listen(0);
            for (var i = 0; i < 3; i++)
                _ = New().ConnectAsync(new IPEndPoint(IPAddress.Loopback, port)).ContinueWith(static connecting => connecting.Exception, TaskScheduler.Default);
        }

        public void Dispose() => _sockets.ForEach(socket => socket.Dispose());

        private Socket New()
        {
            _sockets.Add(new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp));
            return _sockets[^1];
        }
    }

    /// <summary>A server whose connections may stop hearing: their kernel drops what comes, and answers nothing.</summary>
    private sealed class Deaf : IDisposable
    {
        // linux/filter.h: the program "return 0", which keeps no byte of a packet.
        private const int SocketLevel = 1;
        private const int AttachFilter = 26;
        private readonly nint _program = Marshal.AllocHGlobal(8);
        private readonly Socket _listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        private readonly ConcurrentBag<Socket> _peers = [];
        private readonly CountdownEvent _first;
        private volatile string _text = "one";

        public Deaf(int connections)
        {
            Marshal.WriteInt64(_program, 0x06);
            _first = new CountdownEvent(connections);
            _listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
            _listener.Listen();
            _ = AcceptAsync();
        }

        public string Url => $"http://127.0.0.1:{((IPEndPoint)_listener.LocalEndPoint!).Port}";

        /// <param name="isAway">Whether new connections are not heard either.</param>
        public void Deafen(bool isAway)
        {
            _text = "two";
            foreach (var socket in isAway ? _peers.Append(_listener) : _peers)
            {
                var program = new byte[16];
                program[0] = 1;
                BitConverter.TryWriteBytes(program.AsSpan(8), (long)_program);
                socket.SetRawSocketOption(SocketLevel, AttachFilter, program);
            }
        }

        public void Dispose()
        {
            _listener.Dispose();
            foreach (var peer in _peers)
                peer.Dispose();
            _first.Dispose();
            Marshal.FreeHGlobal(_program);
        }

        private async Task AcceptAsync()
        {
            try
            {
                while (true)
                {
                    var peer = await _listener.AcceptAsync();
                    _peers.Add(peer);
                    _ = ServeAsync(peer);
                }
            }
            catch (Exception e) when (e is SocketException or ObjectDisposedException)
            {
                // It is over.
            }
        }

        private async Task ServeAsync(Socket peer)
        {
            try
            {
                await using var stream = new NetworkStream(peer);
                for (var text = _text; (await Wire.ReadUntilAsync(stream, "\r\n\r\n")).Length > 0; text = _text)
                {
                    // The first are all there before any of them is answered, so that each has a connection of its own.
                    if (!_first.IsSet)
                    {
                        _first.Signal();
                        await Eventually.TrueAsync(() => Task.FromResult(_first.IsSet));
                    }

                    await stream.WriteAsync(Encoding.ASCII.GetBytes($"HTTP/1.1 200 OK\r\nContent-Length: {text.Length}\r\n\r\n{text}"));
                }
            }
            catch (Exception e) when (e is IOException or ObjectDisposedException)
            {
                // The proxy has gone.
            }
        }
    }
}
