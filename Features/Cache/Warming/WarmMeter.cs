using System.Threading.Channels;

namespace Discobot.Features.Cache.Warming;

/// <summary>How far one item is, told a few times a second at most.</summary>
internal sealed class WarmMeter(int item, string name, ChannelWriter<WarmProgress> progress, TimeProvider time)
{
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(250);
    private readonly Lock _lock = new();
    private long _bytes, _total, _told;
    private bool _fetched;

    /// <summary>More is to come, as an image's manifest says of its layers.</summary>
    public void Expect(long bytes)
    {
        lock (_lock)
            _total += bytes;
        Tell();
    }

    /// <summary>Something had to come from upstream.</summary>
    public void Fetched()
    {
        lock (_lock)
            _fetched = true;
    }

    public void Received(long bytes)
    {
        lock (_lock)
            _bytes += bytes;
        Tell();
    }

    public void Done()
    {
        lock (_lock)
            progress.TryWrite(new WarmProgress(item, name, _fetched ? "stored" : "here", _bytes, Math.Max(_bytes, _total), null));
    }

    public void Failed(string reason)
    {
        lock (_lock)
            progress.TryWrite(new WarmProgress(item, name, "failed", _bytes, _total, reason));
    }

    private void Tell()
    {
        lock (_lock)
        {
            var now = time.GetTimestamp();
            if (_told != 0 && time.GetElapsedTime(_told, now) < Interval)
                return;
            _told = now;
            progress.TryWrite(new WarmProgress(item, name, "running", _bytes, _total, null));
        }
    }
}
