using System.Net;
using System.Net.Sockets;
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
}
