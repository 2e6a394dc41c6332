using System.Diagnostics;
using System.IO.Pipelines;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using Discobot.Infrastructure.Wire;
using Microsoft.AspNetCore.Connections;

namespace Discobot.Features.Socks5;

public class SocksServerTests
{
    [Fact]
    public async Task A_conversation_that_comes_byte_by_byte_is_understood()
    {
        using var echo = Upstream.Echo;
        await using var fixture = await SocksFixture.StartAsync("{users: {alice: pa55}}");
        await using var stream = await fixture.OpenAsync();
        byte[] said = [5, 2, 0, 2, 1, 5, .. "alice"u8, 4, .. "pa55"u8, .. SocksFixture.Connect(echo.EndPoint), .. "hello"u8];
        foreach (var octet in said)
        {
            await stream.WriteAsync(new[] { octet });
            await Task.Yield();
        }

        Assert.Equal([5, 2, 1, 0], await SocksFixture.ReadAsync(stream, 4));
        Assert.Equal(0, (await SocksFixture.ReadReplyAsync(stream)).Code);
        Assert.Equal("hello"u8.ToArray(), await SocksFixture.ReadAsync(stream, 5));
    }

    [Fact]
    public async Task A_client_that_says_everything_at_once_is_understood()
    {
        using var echo = Upstream.Echo;
        await using var fixture = await SocksFixture.StartAsync();
        await using var stream = await fixture.OpenAsync();
        await stream.WriteAsync((byte[])[5, 1, 0, .. SocksFixture.Connect(echo.EndPoint), .. "hello"u8]);
        Assert.Equal([5, 0], await SocksFixture.ReadAsync(stream, 2));
        var (code, bound) = await SocksFixture.ReadReplyAsync(stream);
        Assert.Equal((0, IPAddress.Loopback), (code, bound.Address));
        Assert.NotEqual(0, bound.Port);
        Assert.Equal("hello"u8.ToArray(), await SocksFixture.ReadAsync(stream, 5));
    }

    [Fact]
    public async Task Names_are_resolved_here()
    {
        using var echo = Upstream.Echo;
        await using var fixture = await SocksFixture.StartAsync();
        var (stream, reply) = await fixture.AskAsync(SocksFixture.Connect("LOCALHOST.", echo.EndPoint.Port));
        await using (stream)
            Assert.Equal(0, reply);
    }

    [Fact]
    public async Task Each_failure_has_its_reply_code_and_then_the_connection_ends()
    {
        using var echo = Upstream.Echo;
        using var closed = new TcpListener(IPAddress.Loopback, 0);
        closed.Start();
        var nobody = (IPEndPoint)closed.LocalEndpoint;
        closed.Stop();
        await using var fixture = await SocksFixture.StartAsync(refuse: what => what is "blocked.example" or "::1" or "10.9.8.7");
        foreach (var (request, reply) in ((byte[] Request, byte Reply)[])
        [
            (SocksFixture.Connect("blocked.example", 80), 2),
            (SocksFixture.Connect(new IPEndPoint(IPAddress.IPv6Loopback, 80)), 2),
            (SocksFixture.Connect("10.9.8.7", 80), 2),
            (SocksFixture.Connect("no-such-host.invalid", 80), 4),
            (SocksFixture.Connect(nobody), 5),
            (SocksFixture.Request(2, echo.EndPoint), 7),
            (SocksFixture.Request(3, echo.EndPoint), 7),
            (SocksFixture.Request(9, echo.EndPoint), 7),
            ([5, 1, 0, 2, 127, 0, 0, 1, 0, 80], 8),
            ([4, 1, 0, 1, 127, 0, 0, 1, 0, 80], 1),
            (SocksFixture.Connect(new IPEndPoint(IPAddress.Loopback, 0)), 1),
            (SocksFixture.Connect("not a name", 80), 1),
            (SocksFixture.Connect("", 80), 1),
        ])
        {
            var (stream, got) = await fixture.AskAsync(request);
            await using (stream)
            {
                Assert.True(reply == got, $"{Convert.ToHexString(request)}: {got} instead of {reply}");
                Assert.Equal(0, await stream.ReadAsync(new byte[1]));
            }
        }
    }

    [Fact]
    public async Task A_name_that_resolves_to_a_forbidden_address_is_not_dialled()
    {
        using var echo = Upstream.Echo;
        await using var fixture = await SocksFixture.StartAsync(refuse: what => what is "127.0.0.1" or "::1");
        var (stream, reply) = await fixture.AskAsync(SocksFixture.Connect("localhost", echo.EndPoint.Port));
        await using (stream)
            Assert.Equal(2, reply);
    }

    [Theory]
    [InlineData("alice", "pa55", 0)]
    [InlineData("bob", "säcret", 0)]
    [InlineData("alice", "säcret", 1)]
    [InlineData("alice", "pa5", 1)]
    [InlineData("alice", "", 1)]
    [InlineData("eve", "pa55", 1)]
    public async Task Users_come_in_with_their_password_only(string name, string password, byte status)
    {
        await using var fixture = await SocksFixture.StartAsync("{users: {alice: pa55, bob: säcret}}");
        await using var stream = await fixture.OpenAsync();
        await stream.WriteAsync(new byte[] { 5, 1, 2 });
        Assert.Equal([5, 2], await SocksFixture.ReadAsync(stream, 2));
        var (n, p) = (Encoding.UTF8.GetBytes(name), Encoding.UTF8.GetBytes(password));
        await stream.WriteAsync((byte[])[1, (byte)n.Length, .. n, (byte)p.Length, .. p]);
        Assert.Equal([1, status], await SocksFixture.ReadAsync(stream, 2));
        if (status != 0)
            Assert.Equal(0, await stream.ReadAsync(new byte[1]));
    }

    [Theory]
    [InlineData("{users: {alice: pa55}}", 0)]
    [InlineData("{}", 2)]
    [InlineData("{}", 1)]
    public async Task Without_a_common_method_the_client_is_told_so(string yaml, byte method)
    {
        await using var fixture = await SocksFixture.StartAsync(yaml);
        await using var stream = await fixture.OpenAsync();
        await stream.WriteAsync(new byte[] { 5, 1, method });
        Assert.Equal([5, 0xFF], await SocksFixture.ReadAsync(stream, 2));
        Assert.Equal(0, await stream.ReadAsync(new byte[1]));
    }

    [Fact]
    public async Task A_client_that_has_said_everything_still_hears_the_answer()
    {
        using var upstream = new Upstream(async (stream, socket) =>
        {
            using var heard = new MemoryStream();
            await stream.CopyToAsync(heard);
            await stream.WriteAsync(Encoding.ASCII.GetBytes($"heard {heard.Length}"));
        });
        await using var fixture = await SocksFixture.StartAsync();
        var (stream, _) = await fixture.AskAsync(SocksFixture.Connect(upstream.EndPoint));
        await using (stream)
        {
            await stream.WriteAsync(new byte[1000]);
            stream.Socket.Shutdown(SocketShutdown.Send);
            Assert.Equal("heard 1000", await new StreamReader(stream).ReadToEndAsync());
        }
    }

    [Fact]
    public async Task An_upstream_that_has_said_everything_still_hears_the_client()
    {
        var heard = new TaskCompletionSource<long>();
        using var upstream = new Upstream(async (stream, socket) =>
        {
            await stream.WriteAsync("bye"u8.ToArray());
            socket.Shutdown(SocketShutdown.Send);
            using var rest = new MemoryStream();
            await stream.CopyToAsync(rest);
            heard.SetResult(rest.Length);
        });
        await using var fixture = await SocksFixture.StartAsync();
        var (stream, _) = await fixture.AskAsync(SocksFixture.Connect(upstream.EndPoint));
        await using (stream)
        {
            Assert.Equal("bye", await new StreamReader(stream, leaveOpen: true).ReadToEndAsync());
            for (var i = 0; i < 100; i++)
                await stream.WriteAsync(new byte[10_000]);
            stream.Socket.Shutdown(SocketShutdown.Send);
            Assert.Equal(1_000_000, await heard.Task.WaitAsync(TimeSpan.FromSeconds(10)));
        }
    }

    [Fact]
    public async Task Large_bodies_pass_both_ways_at_once_unchanged()
    {
        using var echo = Upstream.Echo;
        await using var fixture = await SocksFixture.StartAsync();
        var (stream, _) = await fixture.AskAsync(SocksFixture.Connect(echo.EndPoint));
        await using (stream)
        {
            var sent = RandomNumberGenerator.GetBytes(8 << 20);
            var sending = Task.Run(async () =>
            {
                await stream.WriteAsync(sent);
                stream.Socket.Shutdown(SocketShutdown.Send);
            });
            using var got = new MemoryStream();
            await stream.CopyToAsync(got);
            await sending;
            Assert.True(sent.AsSpan().SequenceEqual(got.GetBuffer().AsSpan(0, (int)got.Length)));
        }
    }

    [Theory]
    [InlineData(64 << 10)]
    [InlineData(16 << 20)]
    public async Task A_client_that_reads_in_fits_and_starts_gets_everything_in_order(int pause)
    {
        var body = RandomNumberGenerator.GetBytes(48 << 20);
        using var upstream = new Upstream(async (stream, socket) =>
        {
            await stream.WriteAsync(body);
            socket.Shutdown(SocketShutdown.Send);
            await stream.CopyToAsync(Stream.Null);
        });
        await using var fixture = await SocksFixture.StartAsync();
        var (tunnel, _) = await fixture.AskAsync(SocksFixture.Connect(upstream.EndPoint));
        await using (tunnel)
        {
            var got = new byte[body.Length + 1];
            var length = 0;
            for (int read; (read = await tunnel.ReadAsync(got.AsMemory(length, Math.Min(pause, got.Length - length)))) > 0;)
            {
                // Now and then long enough for everything between here and the upstream to be full.
                if (length / pause != (length + read) / pause)
                    await Task.Delay(1);
                length += read;
            }

            Assert.Equal((body.Length, body.Length), (length, body.AsSpan().CommonPrefixLength(got.AsSpan(0, length))));
        }
    }

    [Fact]
    public async Task An_upstream_that_resets_ends_the_tunnel()
    {
        using var upstream = new Upstream(async (stream, socket) =>
        {
            await stream.ReadExactlyAsync(new byte[1]);
            socket.LingerState = new LingerOption(true, 0);
        });
        await using var fixture = await SocksFixture.StartAsync();
        var (stream, _) = await fixture.AskAsync(SocksFixture.Connect(upstream.EndPoint));
        await using (stream)
        {
            await stream.WriteAsync(new byte[1]);
            using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(5));
            Assert.Equal(0, await stream.ReadAsync(new byte[1], limit.Token));
        }
    }

    [Fact]
    public async Task A_tunnel_that_new_rules_forbid_is_ended()
    {
        using var echo = Upstream.Echo;
        var forbidden = false;
        await using var fixture = await SocksFixture.StartAsync(refuse: _ => Volatile.Read(ref forbidden));
        var (stream, _) = await fixture.AskAsync(SocksFixture.Connect(echo.EndPoint));
        await using (stream)
        {
            fixture.Traffic.JudgeAgain();
            await stream.WriteAsync("x"u8.ToArray());
            Assert.Equal("x"u8.ToArray(), await SocksFixture.ReadAsync(stream, 1));

            Volatile.Write(ref forbidden, true);
            fixture.Traffic.JudgeAgain();
            using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(5));
            Assert.Equal(0, await stream.ReadAsync(new byte[1], limit.Token));
        }
    }

    [Fact]
    public async Task An_inspected_tunnel_goes_to_interception_with_nothing_lost()
    {
        var entered = new TaskCompletionSource<(ConnectTarget, string)>();
        async Task Inspect(ConnectTarget target, ConnectionContext inner)
        {
            var read = await inner.Transport.Input.ReadAtLeastAsync(5);
            entered.SetResult((target, Encoding.ASCII.GetString(read.Buffer)));
        }

        await using var fixture = await SocksFixture.StartAsync("{inspect: true}", what => what == "blocked.example", Inspect);
        await using var stream = await fixture.OpenAsync();
        await stream.WriteAsync((byte[])[5, 1, 0, .. SocksFixture.Connect("api.example", 443), .. "hello"u8]);
        Assert.Equal((new ConnectTarget("api.example", 443), "hello"), await entered.Task.WaitAsync(TimeSpan.FromSeconds(5)));
        Assert.Equal([5, 0, 5, 0, 0, 1, 0, 0, 0, 0, 0, 0], await SocksFixture.ReadAsync(stream, 12));

        var (refused, reply) = await fixture.AskAsync(SocksFixture.Connect("blocked.example", 443));
        await using (refused)
            Assert.Equal(2, reply);
    }

    [Theory]
    [InlineData("{}", "--socks5 {0}", 0)]
    [InlineData("{}", "--socks5-hostname {0}", 0)]
    [InlineData("{users: {alice: pa55}}", "--socks5-hostname {0} --proxy-user alice:pa55", 0)]
    [InlineData("{users: {alice: pa55}}", "--socks5-hostname {0} --proxy-user alice:wrong", 97)]
    [InlineData("{users: {alice: pa55}}", "--socks5-hostname {0}", 97)]
    public async Task Curl_gets_through(string yaml, string arguments, int exitCode)
    {
        using var web = new Upstream(async (stream, socket) =>
        {
            Assert.NotEqual(0, await stream.ReadAsync(new byte[4096]));
            await stream.WriteAsync("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nyes"u8.ToArray());
        });
        await using var fixture = await SocksFixture.StartAsync(yaml);
        var start = new ProcessStartInfo("curl") { RedirectStandardOutput = true, RedirectStandardError = true };
        var line = $"-sS --max-time 10 {string.Format(null, arguments, fixture.EndPoint)} http://localhost:{web.EndPoint.Port}/";
        foreach (var argument in line.Split(' '))
            start.ArgumentList.Add(argument);
        start.Environment["NO_PROXY"] = "";
        start.Environment["no_proxy"] = "";
        using var curl = Process.Start(start)!;
        var body = await curl.StandardOutput.ReadToEndAsync();
        var errors = await curl.StandardError.ReadToEndAsync();
        await curl.WaitForExitAsync();
        Assert.True(exitCode == curl.ExitCode, $"{curl.ExitCode}: {errors}");
        Assert.Equal(exitCode == 0 ? "yes" : "", body);
    }
}
