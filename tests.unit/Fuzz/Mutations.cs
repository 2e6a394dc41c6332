using System.Text;
using CsCheck;

namespace Discobot.Fuzz;

/// <summary>Grows inputs from a corpus: what was kept, changed a little, and heaps of the grammar's words.</summary>
internal static class Mutations
{
    private const int MaxChanges = 6;
    private const int MaxLength = 80 * 1024;

    private enum Kind
    {
        Flip,
        Overwrite,
        Insert,
        Splice,
        Remove,
        Repeat,
        Cut,
    }

    public static Gen<byte[]> Of(byte[][] corpus, byte[][] words)
    {
        var any = Gen.Byte.Array[0, 12];
        var word = words.Length == 0 ? any : Gen.Frequency((4, Gen.OneOf(words)), (1, any));
        var change = Gen.Select(Gen.Enum<Kind>(), Gen.UInt, Gen.UInt, Gen.Frequency((3, word), (1, Gen.OneOf(corpus))));
        var heap = word.Array[0, 40].Select(parts => parts.SelectMany(p => p).ToArray());
        return Gen.Select(Gen.Frequency((4, Gen.OneOf(corpus)), (1, heap)), change.Array[0, MaxChanges])
            .Select((start, changes) => changes.Aggregate(start, (input, c) => Change(input, c.Item1, c.Item2, c.Item3, c.Item4)));
    }

    /// <summary>The beginning, for a message; the whole is kept as a file.</summary>
    public static string Print(byte[] input) => $"{input.Length} bytes: {Encoding.Latin1.GetString(input, 0, Math.Min(input.Length, 300))}";

    private static byte[] Change(byte[] input, Kind kind, uint where, uint size, byte[] piece)
    {
        var at = (int)(where % (uint)(input.Length + 1));
        var end = at + (int)(size % (uint)(input.Length - at + 1));
        ReadOnlySpan<byte> head = input.AsSpan(0, at), middle = input.AsSpan(at, end - at), tail = input.AsSpan(end);
        byte[] changed = kind switch
        {
            Kind.Flip when at < input.Length => [.. head, (byte)(input[at] ^ 1 << (int)(size % 8)), .. input.AsSpan(at + 1)],
            Kind.Overwrite => [.. head, .. piece, .. input.AsSpan(Math.Min(input.Length, at + piece.Length))],
            Kind.Insert => [.. head, .. piece, .. input.AsSpan(at)],
            Kind.Splice => [.. head, .. piece, .. tail],
            Kind.Remove => [.. head, .. tail],
            // Seldom so often that limits are reached: small inputs are tried faster.
            Kind.Repeat => [.. head, .. Repeat(middle, (int)(where >> 16) % (size % 16 == 0 ? 300 : 5)), .. tail],
            _ => head.ToArray(),
        };
        return changed.Length <= MaxLength ? changed : changed[..MaxLength];
    }

    private static byte[] Repeat(ReadOnlySpan<byte> piece, int times)
    {
        var all = new byte[Math.Min(MaxLength, piece.Length * Math.Max(times, 1))];
        for (var at = 0; at < all.Length; at += piece.Length)
            piece[..Math.Min(piece.Length, all.Length - at)].CopyTo(all.AsSpan(at));
        return all;
    }
}
