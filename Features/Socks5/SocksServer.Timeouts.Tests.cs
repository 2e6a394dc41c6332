using System.Diagnostics;
using Discobot.Infrastructure.Wire.Streams;
using Discobot.Tests.Fixtures;
using Microsoft.Extensions.Time.Testing;

namespace Discobot.Features.Socks5;

/// <summary>Clients that do not get on with the handshake, on a clock that runs twenty times as fast.</summary>
public class SocksServerTimeoutsTests
{
    [Theory]
    [InlineData(new byte[] { 5 })]
    [InlineData(new byte[] { 5, 1, 0 })]
    [InlineData(new byte[] { 5, 1, 0, 5, 1, 0, 3, 200, 97 })]
    public async Task A_client_that_falls_silent_is_closed(byte[] said)
    {
        await using var fixture = await SocksFixture.StartAsync(time: new HurriedTime());
        await using var stream = await fixture.OpenAsync();
        await stream.WriteAsync(said);

        await AssertClosedAsync(stream);
    }

    [Fact]
    public async Task A_byte_now_and_then_buys_no_time()
    {
        await using var fixture = await SocksFixture.StartAsync("{users: {alice: pa55}}", time: new HurriedTime());
        await using var stream = await fixture.OpenAsync();
        var sending = SendSlowlyAsync(stream, [5, 1, 2, 1, 5, .. "alice"u8, 255, .. new byte[255]]);
        await Assert.ThrowsAnyAsync<IOException>(() => sending);
    }

    [Fact]
    public async Task A_tunnel_that_is_open_may_be_silent_for_longer()
    {
        using var echo = Upstream.Echo;
        await using var fixture = await SocksFixture.StartAsync(time: new HurriedTime());
        var (stream, _) = await fixture.AskAsync(SocksFixture.Connect(echo.EndPoint));
        await using (stream)
        {
            // By time: beyond the limits of a client that says nothing.
            await Task.Delay(800);
            await stream.WriteAsync("still there"u8.ToArray());
            Assert.Equal("still there"u8.ToArray(), await SocksFixture.ReadAsync(stream, 11));
        }
    }

    [Fact]
    public async Task A_tunnel_may_be_limited_and_then_ends_when_neither_side_has_anything_to_say()
    {
        using var echo = Upstream.Echo;
        var time = new FakeTimeProvider();
        var limit = TimeSpan.FromMinutes(1);
        await using var fixture = await SocksFixture.StartAsync(idle: new StreamIdle(limit, time));
        var (stream, _) = await fixture.AskAsync(SocksFixture.Connect(echo.EndPoint));
        await using (stream)
        {
            for (var i = 0; i < 5; i++)
            {
                await stream.WriteAsync("x"u8.ToArray());
                Assert.Equal("x"u8.ToArray(), await SocksFixture.ReadAsync(stream, 1));
                // Two of them make a look, and between two looks something has moved, however late the first one is.
                time.Advance(limit / 2);
            }

            var end = stream.ReadAsync(new byte[1]).AsTask();
            await Eventually.TrueAsync(() =>
            {
                time.Advance(limit);
                return Task.FromResult(end.IsCompleted);
            });
            Assert.Equal(0, await end);
        }
    }

    private static async Task SendSlowlyAsync(Stream stream, byte[] bytes)
    {
        foreach (var octet in bytes)
        {
            await stream.WriteAsync(new[] { octet });
            await Task.Delay(50);
        }
    }

    // What came before the end is the reply to the greeting.
    private static async Task AssertClosedAsync(Stream stream)
    {
        var watch = Stopwatch.StartNew();
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(8));
        while (await stream.ReadAsync(new byte[16], limit.Token) > 0)
        {
        }

        Assert.True(watch.Elapsed > TimeSpan.FromMilliseconds(300), $"closed after {watch.Elapsed}");
    }

    /// <summary>Timers fire in a twentieth of their time: 10 s are half a second.</summary>
    private sealed class HurriedTime : TimeProvider
    {
        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period) =>
            base.CreateTimer(callback, state, dueTime / 20, period);
    }
}
