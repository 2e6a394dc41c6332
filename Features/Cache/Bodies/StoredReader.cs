namespace Discobot.Features.Cache.Bodies;

/// <summary>
/// A place in a stored body. Until the body's digest is known to be right its end is held back, so that an altered file breaks the transfer
/// instead of completing it.
/// </summary>
internal sealed class StoredReader(StoredBody body, long from) : IBodyReader
{
    private const int HeldBack = BodySender.ChunkSize;
    private bool _intact = body.Intact.IsCompletedSuccessfully && body.Intact.Result;

    public long Position { get; private set; } = from;

    public async ValueTask<bool> WaitAsync(long end, CancellationToken cancel)
    {
        end = Math.Min(end, body.Length);
        if (!_intact && Position >= end - HeldBack && Position < end)
        {
            if (!await body.Intact.WaitAsync(cancel))
                throw new DamagedBodyException("the stored body was altered");
            _intact = true;
        }

        return Position < end;
    }

    public int Read(Span<byte> buffer, long end)
    {
        end = Math.Min(end, body.Length) - (_intact ? 0 : HeldBack);
        var read = body.Read(buffer[..(int)Math.Min(buffer.Length, end - Position)], Position);
        if (read == 0)
            throw new DamagedBodyException("the stored body was truncated");
        Position += read;
        return read;
    }

    public void Dispose() => body.Release();
}

/// <summary>The file of a stored body is not what was stored: proven, not just unreadable at the moment.</summary>
internal sealed class DamagedBodyException(string reason) : FillBrokenException(reason);
