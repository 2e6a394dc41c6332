namespace Discobot.Features.Shutdown;

/// <summary>
/// Shares the time until whoever stops the container kills it. Each phase may take what it is meant to when the time suffices for all;
/// else all shrink in proportion, and what one phase leaves the next ones may use.
/// </summary>
/// <param name="time">Measures it.</param>
/// <param name="total">From now on.</param>
/// <param name="phases">How long each phase may take, in order, without hurry.</param>
internal sealed class StopBudget(TimeProvider time, TimeSpan total, IReadOnlyList<TimeSpan> phases)
{
    // Our own exit, and the distance between the two clocks.
    private static readonly TimeSpan Reserve = TimeSpan.FromMilliseconds(250);
    private readonly long _start = time.GetTimestamp();

    /// <summary>How long a phase that begins now may take.</summary>
    /// <param name="phase">Its place in the order.</param>
    public TimeSpan For(int phase)
    {
        var usable = total > 2 * Reserve ? total - Reserve : total;
        var left = usable - time.GetElapsedTime(_start);
        var wanted = phases.Skip(phase).Aggregate(TimeSpan.Zero, (sum, limit) => sum + limit);
        if (left <= TimeSpan.Zero)
            return TimeSpan.Zero;
        return wanted <= left ? phases[phase] : phases[phase] * (left / wanted);
    }
}
