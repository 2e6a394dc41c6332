using Discobot.Infrastructure.Native;

namespace Discobot.Features.Init.Session;

public sealed class VolumeLocksTests : IDisposable
{
    private readonly ContainerFixture _inside = new();

    public void Dispose() => _inside.Dispose();

    /// <summary>Each try may take any time: the machine was asleep, or the file system slow.</summary>
    [Fact]
    public async Task How_long_is_waited_is_told_by_the_clock_and_not_by_tries()
    {
        using (await TakeAsync())
        {
            var error = await Assert.ThrowsAsync<StartupException>(() => new VolumeLocks(_inside.Container, new LeapingTime()).ForSetupAsync(CancellationToken.None));
            Assert.Contains("for 35 minutes", error.Message, StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData("mkfifo .locks", "was a Other")]
    [InlineData("mkdir other; ln -s other .locks", "was a Symlink")]
    [InlineData("echo something > .locks", "was a Regular")]
    public async Task What_stands_in_the_place_of_the_locks_leaves_no_volume_without_them(string prepare, string told)
    {
        ContainerFixture.Sh("cd \"$1\"; " + prepare, _inside.At(".data"));
        using (await TakeAsync())
        {
            Assert.Contains(told, _inside.Output, StringComparison.Ordinal);
            using var limit = new CancellationTokenSource(TimeSpan.FromMilliseconds(200));
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => new VolumeLocks(_inside.Container).ForSetupAsync(limit.Token));
        }

        Assert.False(Path.Exists(_inside.At(".data/other/volume")));
        Assert.DoesNotContain("would not know of each other", _inside.Output, StringComparison.Ordinal);
    }

    /// <summary>Their directory is made by one: another that was put in its place would not be the one that is locked.</summary>
    [Fact]
    public async Task Of_many_first_starts_at_once_one_has_the_session()
    {
        for (var round = 0; round < 50; round++)
        {
            ContainerFixture.Sh("rm -rf \"$1\"", _inside.At(".data/.locks"));
            using var begin = new Barrier(4);
            var taken = await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Task.Factory.StartNew(
                () =>
                {
                    begin.SignalAndWait();
                    return new VolumeLocks(_inside.Container).TakeForLife("round");
                },
                CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default)));
            Assert.Single(taken, holder => holder is null);
        }

        Assert.DoesNotContain("would not know of each other", _inside.Output, StringComparison.Ordinal);
    }

    private async Task<IDisposable> TakeAsync() => Assert.IsType<FileLock>(await new VolumeLocks(_inside.Container).ForSetupAsync(CancellationToken.None));

    /// <summary>Between any two looks at it ten minutes have gone.</summary>
    private sealed class LeapingTime : TimeProvider
    {
        private long _now;

        public override long TimestampFrequency => TimeSpan.TicksPerSecond;

        public override long GetTimestamp() => _now += TimeSpan.FromMinutes(10).Ticks;

        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
            => System.CreateTimer(callback, state, TimeSpan.FromMilliseconds(1), Timeout.InfiniteTimeSpan);
    }
}
