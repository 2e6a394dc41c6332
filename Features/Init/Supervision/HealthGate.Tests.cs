using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Discobot.Infrastructure.Native;
using Discobot.Tests.Fixtures;

namespace Discobot.Features.Init.Supervision;

public sealed class HealthGateTests : IDisposable
{
    private readonly Spawner _spawner = new(Executable.Path);
    private readonly TcpListener _proxy = new(IPAddress.Loopback, 0);
    private readonly TcpListener _api = new(IPAddress.Loopback, 0);

    public HealthGateTests()
    {
        _proxy.Start();
        _api.Start();
    }

    public void Dispose()
    {
        _proxy.Dispose();
        _api.Dispose();
        _spawner.Dispose();
    }

    [Theory]
    [InlineData("HTTP/1.1 200 OK\r\n\r\n{\"status\":\"ok\",\"start_token\":\"mine\"}", true)]
    [InlineData("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n24\r\n{\"start_token\":\"mine\",\"status\":\"ok\"}\r\n0\r\n\r\n", true)]
    [InlineData("HTTP/1.1 200 OK\r\n\r\n{\"status\":\"ok\",\"pid\":42,\"start_token\":\"other\"}", false)]
    [InlineData("HTTP/1.1 200 OK\r\n\r\n{\"status\":\"ok\"}", false)]
    [InlineData("HTTP/1.1 200 OK\r\n\r\n{\"start_token\":42}", false)]
    [InlineData("HTTP/1.1 200 OK\r\n\r\n{\"start_token\":null}", false)]
    [InlineData("HTTP/1.1 503 Unavailable\r\n\r\n{\"start_token\":\"mine\"}", false)]
    [InlineData("HTTP/1.1 200 OK\r\n\r\n{\"start_token\":\"mine\"", false)]
    [InlineData("HTTP/1.1 200 OK\r\n\r\n}{", false)]
    [InlineData("SSH-2.0-OpenSSH", false)]
    [InlineData("", false)]
    public void Only_a_200_that_repeats_the_token_of_the_start_counts(string answer, bool healthy) => Assert.Equal(healthy, HealthGate.Names(answer, "mine"));

    [Fact]
    public async Task Both_ports_must_answer()
    {
        var child = await StartAsync("exec sleep 1000");
        Serve(_api, "HTTP/1.1 200 OK\r\n\r\n{\"start_token\":\"mine\"}");
        var waiting = WaitAsync(child);
        // By time: that it goes on waiting.
        await Task.Delay(500);
        Assert.False(waiting.IsCompleted);
        Serve(_proxy, "\x05\xff");
        Assert.Null(await waiting.WaitAsync(TimeSpan.FromSeconds(5)));
        child.SendToGroup(Signal.Kill);
    }

    [Fact]
    public async Task Another_proxy_that_answers_on_the_ports_does_not_pass_though_it_has_the_same_process_number_and_the_wait_ends_after_ten_seconds()
    {
        var child = await StartAsync("exec sleep 1000");
        Serve(_api, $"HTTP/1.1 200 OK\r\n\r\n{{\"pid\":{child.Id},\"start_token\":\"other\"}}");
        Serve(_proxy, "\x05\xff");
        var watch = Stopwatch.StartNew();
        Assert.Equal("timeout waiting for proxy health check", await WaitAsync(child));
        Assert.InRange(watch.Elapsed, TimeSpan.FromSeconds(8), TimeSpan.FromSeconds(20));
        child.SendToGroup(Signal.Kill);
    }

    [Fact]
    public async Task The_end_of_the_process_ends_the_wait_at_once()
    {
        // Both ports accept and say nothing, as somebody else's might.
        var child = await StartAsync("sleep 0.5; exit 3");
        var waiting = WaitAsync(child);
        await child.Exited;
        var watch = Stopwatch.StartNew();
        Assert.Equal("it ended with exit code 3", await waiting);
        Assert.True(watch.Elapsed < TimeSpan.FromSeconds(5), $"{watch.Elapsed}");
    }

    private static async void Serve(TcpListener listener, string answer)
    {
        try
        {
            while (true)
            {
                using var client = await listener.AcceptTcpClientAsync();
                await client.GetStream().WriteAsync(Encoding.Latin1.GetBytes(answer));
            }
        }
        catch (Exception error) when (error is SocketException or InvalidOperationException or IOException or OperationCanceledException)
        {
            // The test is over.
        }
    }

    private Task<ChildProcess> StartAsync(string script) => _spawner.StartAsync(new Launch("proxy", ["/bin/sh", "-c", script]));

    private Task<string?> WaitAsync(ChildProcess child) => new HealthGate(Port(_proxy), Port(_api)).WaitAsync(child, "mine", CancellationToken.None);

    private static int Port(TcpListener listener) => ((IPEndPoint)listener.LocalEndpoint).Port;
}
