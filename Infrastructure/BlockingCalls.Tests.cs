namespace Discobot.Infrastructure;

public sealed class BlockingCallsTests : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);
    private readonly ManualResetEventSlim _answer = new();
    private int _made;

    [Fact]
    public async Task A_call_that_blocks_keeps_nobody_else_waiting()
    {
        var calls = new BlockingCalls<string>("test", 8, Patience, Call);
        var silent = Enumerable.Range(0, 4).Select(i => calls.RunAsync($"silent{i}", default)).ToArray();

        Assert.Equal("live", await calls.RunAsync("live", default));
        Assert.DoesNotContain(silent, s => s.IsCompleted);

        _answer.Set();
        Assert.Equal(["silent0", "silent1", "silent2", "silent3"], await Task.WhenAll(silent));
    }

    [Fact]
    public async Task Whoever_asks_for_the_same_meanwhile_shares_the_call()
    {
        var calls = new BlockingCalls<string>("test", 8, Patience, Call);
        var asked = Enumerable.Range(0, 5).Select(_ => calls.RunAsync("silent", default)).ToArray();
        _answer.Set();

        Assert.All(await Task.WhenAll(asked), a => Assert.Equal("silent", a));
        Assert.Equal(1, Volatile.Read(ref _made));
        await calls.RunAsync("silent", default);
        Assert.Equal(2, Volatile.Read(ref _made));
    }

    [Fact]
    public async Task No_more_threads_are_used_than_allowed_and_the_others_have_their_turn_afterwards()
    {
        var calls = new BlockingCalls<string>("test", 2, Patience, Call);
        Task<string>[] two = [calls.RunAsync("silent0", default), calls.RunAsync("silent1", default)];
        Assert.True(SpinWait.SpinUntil(() => Volatile.Read(ref _made) == 2, Patience));
        var third = calls.RunAsync("live", default);
        Assert.Equal(2, Volatile.Read(ref _made));

        _answer.Set();
        await Task.WhenAll(two);
        Assert.Equal("live", await third);
    }

    [Fact]
    public async Task A_group_keeps_nobody_else_from_a_thread()
    {
        var calls = new BlockingCalls<string>("test", 4, Patience, Call, groupOf: key => key[..4]);
        var silent = Enumerable.Range(0, 50).Select(i => calls.RunAsync($"silent{i}", default)).ToArray();
        Assert.Equal("live", await calls.RunAsync("live", default));
        Assert.InRange(Volatile.Read(ref _made), 2, 3);

        _answer.Set();
        await Task.WhenAll(silent);
    }

    [Fact]
    public async Task Nobody_waits_longer_than_the_limit_or_than_they_want()
    {
        var calls = new BlockingCalls<string>("test", 1, TimeSpan.FromMilliseconds(50), Call);
        using var enough = new CancellationTokenSource();
        var impatient = calls.RunAsync("silent", enough.Token);
        await enough.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => impatient);
        await Assert.ThrowsAsync<TimeoutException>(() => calls.RunAsync("silent", default));
        await Assert.ThrowsAsync<TimeoutException>(() => calls.RunAsync("late", default));
        _answer.Set();
        Assert.Equal("live", await new BlockingCalls<string>("test", 1, Patience, Call).RunAsync("live", default));
    }

    [Fact]
    public async Task What_a_call_throws_reaches_whoever_asked()
    {
        var calls = new BlockingCalls<string>("test", 1, Patience, key => throw new IOException(key));
        Assert.Equal("a", (await Assert.ThrowsAsync<IOException>(() => calls.RunAsync("a", default))).Message);
        Assert.Equal("b", (await Assert.ThrowsAsync<IOException>(() => calls.RunAsync("b", default))).Message);
    }

    public void Dispose() => _answer.Set();

    private string Call(string key)
    {
        Interlocked.Increment(ref _made);
        if (!key.StartsWith("silent", StringComparison.Ordinal))
            return key;
        Assert.True(_answer.Wait(Patience));
        return key;
    }
}
