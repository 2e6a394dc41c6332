namespace Discobot.Features.Init;

public sealed class BackoffTests
{
    [Fact]
    public void Tries_come_later_and_later_and_never_more_than_five_in_any_minute()
    {
        var clock = new Clock();
        var backoff = new Backoff(clock);
        var starts = new List<DateTimeOffset>();
        for (var i = 0; i < 20; i++)
        {
            clock.Now += backoff.Next();
            starts.Add(clock.Now);
        }

        Assert.Equal([0, 1, 3, 7, 15], starts.Take(5).Select(s => (s - starts[0]).TotalSeconds));
        Assert.All(starts.Skip(5).Zip(starts), pair => Assert.True(pair.First - pair.Second >= TimeSpan.FromMinutes(1)));
    }

    [Fact]
    public void After_a_quiet_minute_the_next_try_is_at_once()
    {
        var clock = new Clock();
        var backoff = new Backoff(clock);
        backoff.Next();
        backoff.Next();
        clock.Now += TimeSpan.FromMinutes(2);
        Assert.Equal(TimeSpan.Zero, backoff.Next());
    }

    private sealed class Clock : TimeProvider
    {
        private int _steps;

        public DateTimeOffset Now { get; set; } = DateTimeOffset.UnixEpoch;

        public override long TimestampFrequency => TimeSpan.TicksPerSecond;

        public override long GetTimestamp() => Now.UtcTicks;

        // Set back by years at every look: nothing may depend on it.
        public override DateTimeOffset GetUtcNow() => DateTimeOffset.UnixEpoch - (_steps++ * TimeSpan.FromDays(365));
    }
}
