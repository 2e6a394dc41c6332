using Discobot.Infrastructure.Wire;

namespace Discobot.Features.Cache;

/// <summary>
/// A place in a download that somebody else began. When that brings nothing for some time, the rest is asked for by oneself, from the byte that
/// comes next: the download goes on for those who caused it, and no byte is sent twice.
/// </summary>
/// <param name="shared">Owned.</param>
/// <param name="fill">The download.</param>
/// <param name="own">How the rest is asked for.</param>
/// <param name="time">Of the wait.</param>
internal sealed class JoinedReader(IBodyReader shared, Fill fill, FillRequest own, TimeProvider time) : IBodyReader
{
    /// <summary>How long somebody else's download may bring nothing before one asks by oneself: a pull gives up after 15 s.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

    private const int PieceSize = 64 << 10;

    private byte[] _piece = [];
    private int _start;
    private int _end;
    private long _position;
    private FillSource? _source;
    private CancellationTokenSource? _leave;
    private bool _isAlone;
    private bool _stays;

    public long Position => _isAlone ? _position : shared.Position;

    public async ValueTask<bool> WaitAsync(long end, CancellationToken cancel)
    {
        if (!_isAlone && await SharedAsync(end, cancel) is { } more)
            return more;
        if (_position >= end || _position == fill.Length)
            return false;
        if (_start == _end)
            (_start, _end) = (0, await _source!.ReadAsync(_piece));
        return _start < _end;
    }

    public int Read(Span<byte> buffer, long end)
    {
        if (!_isAlone)
            return shared.Read(buffer, end);
        var count = (int)Math.Min(Math.Min(buffer.Length, _end - _start), end - _position);
        _piece.AsSpan(_start, count).CopyTo(buffer);
        (_start, _position) = (_start + count, _position + count);
        return count;
    }

    public void Dispose()
    {
        if (!_isAlone)
            shared.Dispose();
        _source?.Dispose();
        _leave?.Dispose();
    }

    /// <returns>Null: the rest comes from elsewhere.</returns>
    private async ValueTask<bool?> SharedAsync(long end, CancellationToken cancel)
    {
        _leave ??= CancellationTokenSource.CreateLinkedTokenSource(cancel);
        var waiting = shared.WaitAsync(end, _leave.Token);
        if (waiting.IsCompleted || _stays)
            return await waiting;
        var bytes = waiting.AsTask();
        while (true)
        {
            try
            {
                return await bytes.WaitAsync(Patience, time, cancel);
            }
            catch (TimeoutException) when (fill.SilentFor < Patience)
            {
                // They come, and are only not passed on yet.
            }
            catch (TimeoutException)
            {
                break;
            }
        }

        if (!await TrySeparateAsync(cancel))
            return await bytes;
        await _leave.CancelAsync();
        await bytes.ContinueWith(static _ => { }, CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
        shared.Dispose();
        return null;
    }

    // What upstream refuses to one's own request may still come by the download, which is left only when there is something better.
    private async ValueTask<bool> TrySeparateAsync(CancellationToken cancel)
    {
        _stays = true;
        if (fill.Rest(own, shared.Position, cancel) is not { } source)
            return false;
        var piece = new byte[PieceSize];
        try
        {
            (_start, _end) = (0, await source.ReadAsync(piece));
        }
        catch (IOException)
        {
            source.Dispose();
            return false;
        }

        (_piece, _source, _position, _isAlone) = (piece, source, shared.Position, true);
        return true;
    }
}
