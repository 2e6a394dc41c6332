using Microsoft.Extensions.Time.Testing;

namespace Discobot.Features.Cache.Remote;

/// <summary>By a clock of the test's own.</summary>
public sealed class CircuitBreakerTests : IDisposable
{
    private readonly FakeTimeProvider _time = new();
    private readonly CircuitBreaker _breaker;

    public CircuitBreakerTests() => _breaker = new CircuitBreaker(_time);

    public void Dispose() => _breaker.Dispose();

    [Fact]
    public void What_all_wait_in_vain_is_never_more_than_the_budget()
    {
        Assert.True(_breaker.Budget < TimeSpan.FromSeconds(1));
        Assert.False(_breaker.Failed(TimeSpan.FromMilliseconds(500)));
        Assert.Equal(TimeSpan.FromMilliseconds(400), _breaker.Left);
        Assert.False(_breaker.Missed(TimeSpan.FromMilliseconds(300)));
        Assert.Equal(TimeSpan.FromMilliseconds(100), _breaker.Left);
        Assert.True(_breaker.Failed(TimeSpan.FromMilliseconds(100)));
        Assert.True(_breaker.IsOpen);
    }

    /// <summary>The system's timers count in steps of up to ten milliseconds.</summary>
    [Fact]
    public void A_timer_that_fires_a_little_early_has_spent_all_of_it() => Assert.True(_breaker.Failed(_breaker.Budget - TimeSpan.FromMilliseconds(4)));

    [Fact]
    public void Failures_that_take_no_time_open_it_when_they_are_in_a_row()
    {
        for (var i = 0; i < 4; i++)
            Assert.False(_breaker.Failed(TimeSpan.FromMilliseconds(1)));
        _breaker.Succeeded();
        for (var i = 0; i < 4; i++)
            Assert.False(_breaker.Failed(TimeSpan.FromMilliseconds(1)));
        Assert.True(_breaker.Failed(TimeSpan.FromMilliseconds(1)));
    }

    [Fact]
    public void What_is_not_there_opens_nothing_where_it_is_told_quickly_and_the_budget_comes_back()
    {
        for (var i = 0; i < 1000; i++)
        {
            Assert.False(_breaker.Missed(TimeSpan.FromMilliseconds(10)));
            _time.Advance(TimeSpan.FromSeconds(1));
        }

        _breaker.Failed(TimeSpan.FromMilliseconds(800));
        _time.Advance(TimeSpan.FromMinutes(1));
        Assert.Equal(_breaker.Budget, _breaker.Left);
    }

    [Fact]
    public void What_is_slower_than_a_useful_rate_spends_the_budget_and_what_shares_the_line_does_not()
    {
        Assert.False(_breaker.Slowed(TimeSpan.FromSeconds(60), 60 << 20));
        Assert.Equal(_breaker.Budget, _breaker.Left);
        Assert.False(_breaker.Slowed(TimeSpan.FromMilliseconds(562.5), 64 << 10));
        Assert.Equal(TimeSpan.FromMilliseconds(400), _breaker.Left);
        for (var i = 0; i < 4; i++)
            _breaker.Begun();
        Assert.False(_breaker.Slowed(TimeSpan.FromSeconds(4), 1 << 20));
        for (var i = 0; i < 4; i++)
            _breaker.Ended();
        Assert.True(_breaker.Slowed(TimeSpan.FromSeconds(4), 1 << 20));
    }

    [Fact]
    public void Whoever_waits_as_it_opens_stops_at_once()
    {
        var opening = _breaker.Opening;
        _breaker.Failed(_breaker.Budget);
        Assert.True(opening.IsCancellationRequested);
        _breaker.Close();
        Assert.False(_breaker.IsOpen);
        Assert.False(_breaker.Opening.IsCancellationRequested);
        Assert.Equal(_breaker.Budget, _breaker.Left);
    }

    [Fact]
    public async Task It_is_tried_after_a_pause_that_grows_until_something_is_given()
    {
        var closed = Task.CompletedTask;
        foreach (var pause in (int[])[10, 20, 40, 80, 160, 300, 300])
        {
            if (closed.IsCompleted)
            {
                _breaker.Failed(_breaker.Budget);
                closed = _breaker.ClosedAsync(CancellationToken.None);
            }

            var trying = _breaker.WaitToTryAsync(CancellationToken.None);
            _time.Advance(TimeSpan.FromSeconds(pause * 0.89));
            Assert.False(trying.IsCompleted);
            _time.Advance(TimeSpan.FromSeconds(pause * 0.22));
            await trying.WaitAsync(TimeSpan.FromSeconds(30));
            _breaker.StayOpen();
        }

        Assert.False(closed.IsCompleted);
        _breaker.Close();
        await closed.WaitAsync(TimeSpan.FromSeconds(30));
        _breaker.Succeeded();
        _breaker.Failed(_breaker.Budget);
        var first = _breaker.WaitToTryAsync(CancellationToken.None);
        _time.Advance(TimeSpan.FromSeconds(11.1));
        await first.WaitAsync(TimeSpan.FromSeconds(30));
    }
}
