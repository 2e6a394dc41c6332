using System.Buffers;

namespace Discobot.Tests.Fixtures;

/// <summary>A sequence of several segments, as a pipe makes them.</summary>
internal sealed class Segments : ReadOnlySequenceSegment<byte>
{
    private Segments(ReadOnlyMemory<byte> memory, long start) => (Memory, RunningIndex) = (memory, start);

    /// <summary>Cuts at the given offsets.</summary>
    public static ReadOnlySequence<byte> Split(byte[] bytes, IEnumerable<int> cuts)
    {
        Segments? first = null, last = null;
        var start = 0;
        foreach (var end in cuts.Where(c => c < bytes.Length).Order().Distinct().Append(bytes.Length))
        {
            var next = new Segments(bytes.AsMemory(start, end - start), start);
            last?.Next = next;
            (first, last, start) = (first ?? next, next, end);
        }

        return new ReadOnlySequence<byte>(first!, 0, last!, last!.Memory.Length);
    }

    /// <summary>Cuts into pieces of one size.</summary>
    public static ReadOnlySequence<byte> Chop(byte[] bytes, int size) =>
        Split(bytes, Enumerable.Range(1, bytes.Length / size).Select(i => i * size));
}
