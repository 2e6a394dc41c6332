using System.Net;
using System.Net.Sockets;

namespace Discobot.Infrastructure.Wire.Dialling;

public sealed class AddressRaceTests
{
    private readonly List<string> _dialled = [];
    private readonly List<Socket> _open = [];
    private readonly TaskCompletionSource _secondDialled = new();
    private readonly TaskCompletionSource _won = new();

    [Fact]
    public void Families_take_turns_beginning_with_the_resolvers_choice() => Assert.Equal(
        ["::2", "10.0.0.1", "::3", "10.0.0.2", "10.0.0.3"],
        AddressRace.Interleave(Parse("::2", "::3", "10.0.0.1", "10.0.0.2", "10.0.0.3")).Select(a => a.ToString()));

    [Fact]
    public async Task An_address_that_is_dead_holds_up_the_next_for_a_quarter_of_a_second()
    {
        var watch = System.Diagnostics.Stopwatch.StartNew();
        var won = await RunAsync(TimeProvider.System, "::dead", "10.0.0.1");

        Assert.Equal("10.0.0.1", $"{won.Address}");
        Assert.InRange(watch.Elapsed, TimeSpan.FromMilliseconds(200), TimeSpan.FromMinutes(1));
        Assert.Equal(["::dead", "10.0.0.1"], _dialled);
    }

    [Fact]
    public async Task An_address_that_fails_holds_up_nobody_and_later_ones_are_not_dialled()
    {
        var won = await RunAsync(new StoppedTime(), "::bad", "10.0.0.1", "10.0.0.2");

        Assert.Equal("10.0.0.1", $"{won.Address}");
        Assert.Equal(["::bad", "10.0.0.1"], _dialled);
    }

    [Fact]
    public async Task An_earlier_address_that_answers_late_still_wins_and_the_loser_is_closed()
    {
        var won = await RunAsync(TimeProvider.System, "10.0.1.1", "10.0.1.2");
        _won.SetResult();

        Assert.Equal("10.0.1.1", $"{won.Address}");
        Assert.Equal(["10.0.1.1", "10.0.1.2"], _dialled);
        Assert.NotSame(_open[1], won.Socket);
        await Tests.Fixtures.Eventually.TrueAsync(() => Task.FromResult(IsClosed(_open[1])));
        Assert.False(IsClosed(won.Socket));
    }

    [Fact]
    public async Task A_refused_address_gives_way_and_is_told_only_when_nothing_else_was_tried()
    {
        Assert.Equal("10.0.0.1", $"{(await RunAsync(TimeProvider.System, "10.0.9.1", "10.0.0.1")).Address}");
        await Assert.ThrowsAsync<DialRefusedException>(() => RunAsync(TimeProvider.System, "10.0.9.1", "10.0.9.2"));
        await Assert.ThrowsAsync<SocketException>(() => RunAsync(TimeProvider.System, "10.0.9.1", "::bad"));
    }

    [Fact]
    public async Task When_all_are_dead_the_callers_limit_ends_it()
    {
        using var limit = new CancellationTokenSource();
        var race = AddressRace.RunAsync(Parse("::dead", "10.0.0.255"), DialAsync, TimeProvider.System, limit.Token);
        await _secondDialled.Task;
        await limit.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => race);
        Assert.Equal(["::dead", "10.0.0.255"], _dialled);
    }

    private static bool IsClosed(Socket socket)
    {
        try
        {
            return socket.Available < 0;
        }
        catch (ObjectDisposedException)
        {
            return true;
        }
    }

    private static IPAddress[] Parse(params string[] addresses) => [.. addresses.Select(IPAddress.Parse)];

    private Task<DialledSocket> RunAsync(TimeProvider time, params string[] addresses) => AddressRace.RunAsync(Parse(addresses), DialAsync, time, default);

    // ::dead and 10.0.0.255 never answer, ::bad refuses, 10.0.9.x is forbidden; 10.0.1.1 answers once 10.0.1.2 is dialled, which does not hear that it lost.
    private async Task<DialledSocket> DialAsync(IPAddress address, CancellationToken cancellation)
    {
        var text = address.ToString();
        _dialled.Add(text);
        if (text is "10.0.1.2" or "10.0.0.255")
            _secondDialled.SetResult();
        if (text is "::dead" or "10.0.0.255")
            await Task.Delay(Timeout.Infinite, cancellation);
        if (text == "::bad")
            throw new SocketException((int)SocketError.ConnectionRefused);
        if (text.StartsWith("10.0.9.", StringComparison.Ordinal))
            throw new DialRefusedException(new ProxyError(403, "blocked", "no"));
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        _open.Add(socket);
        if (text == "10.0.1.1")
            await _secondDialled.Task;
        if (text == "10.0.1.2")
            await _won.Task;
        return new DialledSocket(socket, address);
    }

    /// <summary>Timers of it are never over.</summary>
    private sealed class StoppedTime : TimeProvider
    {
        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
            => System.CreateTimer(callback, state, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }
}
