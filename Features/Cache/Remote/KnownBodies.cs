namespace Discobot.Features.Cache.Remote;

/// <summary>What is remembered of the store, so that nothing is asked twice: bounded, and for a time, as others put bodies there and its rules remove them.</summary>
internal sealed class KnownBodies(TimeProvider time)
{
    private static readonly TimeSpan AbsentFor = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan PresentFor = TimeSpan.FromHours(12);
    private static readonly TimeSpan WrongFor = TimeSpan.FromHours(1);

    private readonly RecentTable<(State State, long At)> _bodies = new(32_768);

    private enum State
    {
        Present,
        Absent,
        Wrong,
    }

    public bool IsPresent(in Hash256 digest) => Is(digest, State.Present, PresentFor);

    public bool IsAbsent(in Hash256 digest) => Is(digest, State.Absent, AbsentFor);

    /// <summary>Whether the store gave another body for it: an upload replaces that whether or not there is one.</summary>
    public bool IsWrong(in Hash256 digest) => Is(digest, State.Wrong, WrongFor);

    public void Present(in Hash256 digest) => _bodies.Add(digest, (State.Present, time.GetTimestamp()));

    public void Absent(in Hash256 digest) => _bodies.Add(digest, (State.Absent, time.GetTimestamp()));

    public void Wrong(in Hash256 digest) => _bodies.Add(digest, (State.Wrong, time.GetTimestamp()));

    private bool Is(in Hash256 digest, State state, TimeSpan lasts) =>
        _bodies.TryFind(digest, out var found) && found.State == state && time.GetElapsedTime(found.At) < lasts;
}
