using Microsoft.Win32.SafeHandles;

namespace Discobot.Features.Cache.Shared;

/// <summary>
/// A body that another container downloads, read while it grows. It ends early where its owner brings nothing for some time, gives up or dies: then the
/// rest is asked of the origin, and by one of those who wait where the owner died, who has the lease from then on.
/// </summary>
internal sealed class GrowingBody(
    SharedDownloads downloads, VolumeAccess access, DownloadLease lease, LeaseRecord record, SafeFileHandle file, bool isOurs) : SharedStream(file, record.Length)
{
    /// <summary>How long an owner may bring nothing: as long as a download of one's own.</summary>
    public static readonly TimeSpan Patience = JoinedReader.Patience;

    // What is less than this is nothing: whoever sends a byte now and then would hold others up for ever. 256 KiB.
    private const int Least = 256 << 10;

    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(20);

    private readonly Lock _lock = new();
    private string _incoming = record.Incoming;
    private DownloadCopy? _copy;
    private bool _isOurs = isOurs;
    private bool _isFinal = isOurs;
    private bool _isLeft;

    // Since there was enough; milliseconds.
    private long _waited;
    private int _brought;

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        for (var since = Environment.TickCount64; ;)
        {
            var read = await base.ReadAsync(buffer, cancellationToken);
            var waited = _waited + Environment.TickCount64 - since;
            if (read > 0)
            {
                _brought += read;
                (_brought, _waited) = _brought < Least ? (_brought, waited) : (0, 0);
                return read;
            }

            if (Position == Length || _isFinal || waited > Patience.TotalMilliseconds)
                return read;
            switch (await downloads.LookAsync(lease, cancellationToken))
            {
                case { State: LeaseState.Held, Record: { } now } when now.Length == Length && now.Incoming != _incoming:
                    if (await access.TryAsync(volume => volume.OpenIncoming(now.Incoming), cancellationToken) is { } other)
                        Continue(other);
                    _incoming = now.Incoming;
                    break;
                case { State: LeaseState.Held }:
                    await Task.Delay(Interval, cancellationToken);
                    break;
                case { State: LeaseState.Ours }:
                    _isFinal = true;
                    TakeOver();
                    break;
                default:
                    // Complete, or given up, or the directory is away: what was written last is read, and then no more is to come.
                    _isFinal = true;
                    break;
            }
        }
    }

    /// <summary>The download that reads this: it goes on for the others if the lease becomes ours.</summary>
    public void Begin(Fill fill, TemporaryBody temporary)
    {
        var copy = downloads.Copy(lease, fill, temporary);
        lock (_lock)
        {
            _copy = copy;
            if (!_isOurs)
                return;
        }

        copy?.Start(_incoming);
    }

    protected override void Dispose(bool disposing)
    {
        bool isUnused;
        DownloadCopy? copy;
        lock (_lock)
        {
            (copy, isUnused) = (_copy, !_isLeft && (_copy is null || !_isOurs));
            _isLeft = true;
        }

        if (disposing && isUnused)
        {
            // Nothing began with it: whoever comes next takes it up.
            copy?.Dispose();
            lease.Dispose();
        }

        base.Dispose(disposing);
    }

    private void TakeOver()
    {
        DownloadCopy? copy;
        lock (_lock)
        {
            _isOurs = true;
            copy = _copy;
        }

        copy?.Start(_incoming);
    }
}
