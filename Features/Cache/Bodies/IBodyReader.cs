namespace Discobot.Features.Cache.Bodies;

/// <summary>A place in a body that is stored or still arriving. Disposed by its owner, however the transfer ends.</summary>
internal interface IBodyReader : IDisposable
{
    /// <summary>Offset of the first byte not yet read.</summary>
    long Position { get; }

    /// <summary>Waits until something can be read.</summary>
    /// <param name="end">The offset at which this client stops; <see cref="long.MaxValue"/> for the end of the body.</param>
    /// <param name="cancel">The client went away.</param>
    /// <returns>False at <paramref name="end"/> or at the end of the body.</returns>
    /// <exception cref="FillBrokenException">The body cannot be completed, or is not what it has to be.</exception>
    ValueTask<bool> WaitAsync(long end, CancellationToken cancel);

    /// <summary>Reads what is there and moves on; only after <see cref="WaitAsync"/> said so.</summary>
    int Read(Span<byte> buffer, long end);
}
