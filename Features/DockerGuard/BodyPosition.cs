using Discobot.Infrastructure.Http1;

namespace Discobot.Features.DockerGuard;

/// <summary>How far into a request's body the bytes that were read have come.</summary>
internal sealed class BodyPosition(BodyFraming framing)
{
    private readonly ChunkedDecoder? _chunks = framing.End == BodyEnd.Chunked ? new ChunkedDecoder(Strictness.Request) : null;
    private long _left = framing.End == BodyEnd.Length ? framing.Length : 0;

    public bool IsOver => _chunks?.IsDone ?? _left == 0;

    /// <summary>Takes what belongs to the body.</summary>
    /// <param name="input">What was read.</param>
    /// <param name="onData">Gets the data, without what frames it.</param>
    /// <returns>Bytes taken; fewer than given when the body has ended.</returns>
    /// <exception cref="MalformedMessageException">Its chunks are malformed.</exception>
    public int Take(ReadOnlySpan<byte> input, Action<ReadOnlySpan<byte>> onData)
    {
        var taken = 0;
        while (taken < input.Length && !IsOver)
        {
            if (_chunks is { DataLeft: 0 })
            {
                taken += _chunks.Advance(input[taken..]);
                continue;
            }

            var length = (int)Math.Min(_chunks?.DataLeft ?? _left, input.Length - taken);
            onData(input.Slice(taken, length));
            taken += length;
            _chunks?.ReadData(length);
            _left -= _chunks is null ? length : 0;
        }

        return taken;
    }
}
