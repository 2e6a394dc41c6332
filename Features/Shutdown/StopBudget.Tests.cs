namespace Discobot.Features.Shutdown;

public sealed class StopBudgetTests
{
    private static readonly TimeSpan[] Phases = [Seconds(10), Seconds(5), Seconds(10), Seconds(1)];
    private readonly Clock _clock = new();

    [Fact]
    public void With_time_enough_each_phase_has_its_own_limit()
    {
        var budget = new StopBudget(_clock, Seconds(60), Phases);
        for (var phase = 0; phase < Phases.Length; phase++)
        {
            Assert.Equal(Phases[phase], budget.For(phase));
            _clock.Elapsed += Phases[phase];
        }
    }

    [Theory]
    [InlineData(10)]
    [InlineData(3)]
    [InlineData(1)]
    public void With_less_all_shrink_in_proportion_and_the_sum_stays_within_the_budget(int seconds)
    {
        var budget = new StopBudget(_clock, Seconds(seconds), Phases);
        var limits = new List<TimeSpan>();
        for (var phase = 0; phase < Phases.Length; phase++)
        {
            limits.Add(budget.For(phase));
            _clock.Elapsed += limits[phase];
        }

        Assert.True(_clock.Elapsed < Seconds(seconds));
        Assert.Equal(2, limits[0] / limits[1], 0.01);
        Assert.Equal(1, limits[0] / limits[2], 0.01);
    }

    [Fact]
    public void What_one_phase_leaves_the_next_may_use()
    {
        var budget = new StopBudget(_clock, Seconds(17), Phases);
        Assert.True(budget.For(0) < Seconds(7));
        Assert.Equal(Seconds(5), budget.For(1));
    }

    [Fact]
    public void After_the_end_there_is_no_time_and_no_error()
    {
        var budget = new StopBudget(_clock, Seconds(2), Phases);
        _clock.Elapsed = Seconds(5);
        Assert.Equal(TimeSpan.Zero, budget.For(3));
    }

    private static TimeSpan Seconds(double seconds) => TimeSpan.FromSeconds(seconds);

    private sealed class Clock : TimeProvider
    {
        public TimeSpan Elapsed { get; set; }

        public override long TimestampFrequency => TimeSpan.TicksPerSecond;

        public override long GetTimestamp() => Elapsed.Ticks;
    }
}
