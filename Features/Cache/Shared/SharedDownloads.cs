using Discobot.Infrastructure.Native;
using Microsoft.Win32.SafeHandles;

namespace Discobot.Features.Cache.Shared;

/// <summary>One download for all containers that miss the same digest of the same origin at the same time.</summary>
internal sealed class SharedDownloads(SharedBodies bodies, VolumeAccess access, SharedCounters counters)
{
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(20);

    /// <summary>Asks whose download it is.</summary>
    /// <returns>What has come of it, or that it is ours; null: everybody for himself.</returns>
    public async ValueTask<DownloadTurn?> EnterAsync(Hash256 digest, string origin, CancellationToken cancel)
    {
        if (!access.IsWritable || !bodies.IsTrusted(digest))
            return null;
        var hasWaited = false;
        for (var since = Environment.TickCount64; Environment.TickCount64 - since <= GrowingBody.Patience.TotalMilliseconds;)
        {
            if (await OpenAsync(digest, origin, cancel) is not { } lease)
                return null;
            var isKept = false;
            try
            {
                // The same lease until something comes of it: one that is made anew meanwhile is for those who come later.
                for (var standing = await LookAsync(lease, cancel); ; standing = await LookAsync(lease, cancel))
                {
                    var turn = standing?.State switch
                    {
                        LeaseState.Ours => await OwnAsync(digest, lease, standing.Record, cancel),
                        LeaseState.Held when standing.Record is { } record => await FollowAsync(digest, lease, record, false, cancel),
                        _ => null,
                    };
                    isKept = turn is not null;
                    if (isKept)
                        return turn;
                    if (standing is null || Environment.TickCount64 - since > GrowingBody.Patience.TotalMilliseconds)
                        return null;
                    if (standing.State == LeaseState.Released)
                        break;
                    hasWaited = true;
                    await Task.Delay(Interval, cancel);
                }
            }
            finally
            {
                if (!isKept)
                    lease.Dispose();
            }

            if (await bodies.OpenAsync(digest, cancel) is { } body)
                return new DownloadTurn(null, body, Copy);
            // It was refused, say, which is between its owner and the origin. Whoever did not wait for that begins a lease of its own.
            if (hasWaited)
                return null;
        }

        return null;
    }

    public ValueTask<Standing?> LookAsync(DownloadLease lease, CancellationToken cancel) =>
        access.TryAsync(_ => new Standing(lease.Look(), lease.Read()), cancel);

    /// <summary>What would bring a download to the others; null where its file cannot be read.</summary>
    public DownloadCopy? Copy(DownloadLease lease, Fill fill, TemporaryBody temporary)
    {
        try
        {
            return new DownloadCopy(bodies, access, counters, lease, fill,
                File.OpenHandle(temporary.Path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete));
        }
        catch (Exception e) when (DiskFailure.Is(e))
        {
            return null;
        }
    }

    private async ValueTask<DownloadLease?> OpenAsync(Hash256 digest, string origin, CancellationToken cancel) => await access.TryAsync(
        volume =>
        {
            try
            {
                return DownloadLease.Open(volume, DownloadLease.NameOf(digest, origin));
            }
            catch (LibcException e) when (volume.Refuses(e))
            {
                access.Refused(e.Message);
                return null;
            }
        },
        cancel);

    // Somebody may have finished it between our look for the body and now, or have died half way.
    private async ValueTask<DownloadTurn?> OwnAsync(Hash256 digest, DownloadLease lease, LeaseRecord? former, CancellationToken cancel)
    {
        if (await bodies.OpenAsync(digest, cancel) is { } body)
        {
            lease.Release();
            return new DownloadTurn(null, body, Copy);
        }

        return former is not null && await FollowAsync(digest, lease, former, true, cancel) is { } turn ? turn : new DownloadTurn(lease, null, Copy);
    }

    private async ValueTask<DownloadTurn?> FollowAsync(Hash256 digest, DownloadLease lease, LeaseRecord record, bool isOurs, CancellationToken cancel)
    {
        if (await access.TryAsync(volume => volume.OpenIncoming(record.Incoming), cancel) is not { } file)
            return null;
        var growing = new GrowingBody(this, access, lease, record, file, isOurs);
        var opened = new OpenedBody(file, record.Length);
        return new DownloadTurn(null, new TierBody(growing, record.Length, bodies)
        {
            Begun = (fill, temporary) =>
            {
                counters.Followed();
                growing.Begin(fill, temporary);
            },
            Wrong = () =>
            {
                bodies.Distrusted(digest);
                _ = access.TryAsync(volume => Delete(volume, record.Incoming, opened.Identity), CancellationToken.None).AsTask();
            },
        }, Copy);
    }

    private static string Delete(SharedVolume volume, string name, (ulong, ulong) identity)
    {
        using var now = volume.OpenIncoming(name);
        if (now is not null && OpenedBody.IdentityOf(now) == identity)
            volume.DeleteIncoming(name, now);
        return "";
    }

    /// <param name="State">Whose it is.</param>
    /// <param name="Record">What its owner, or its last one, has said.</param>
    internal sealed record Standing(LeaseState State, LeaseRecord? Record);
}

/// <summary>What came of asking whose download it is. Left by whoever asked, unless a download began with it.</summary>
/// <param name="lease">Ours to bring to the others; null where it is not.</param>
/// <param name="body">What another has brought, or brings.</param>
/// <param name="copy">Makes what brings a download to the others.</param>
internal sealed class DownloadTurn(DownloadLease? lease, TierBody? body, Func<DownloadLease, Fill, TemporaryBody, DownloadCopy?> copy) : IDisposable
{
    private DownloadLease? _lease = lease;

    public TierBody? Body { get; } = body;

    /// <summary>It is downloaded here: the others follow.</summary>
    public void Begin(Fill fill, TemporaryBody temporary)
    {
        if (_lease is not { } lease || copy(lease, fill, temporary) is not { } started)
            return;
        _lease = null;
        started.Start();
    }

    public void Dispose()
    {
        var unused = _lease;
        _lease = null;
        if (unused is not null)
            _ = Task.Run(unused.Release);
    }
}
