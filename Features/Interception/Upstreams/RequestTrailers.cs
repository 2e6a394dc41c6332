using System.Buffers;
using System.Collections.Concurrent;
using System.Security.Cryptography;
using System.Text;

namespace Discobot.Features.Interception.Upstreams;

/// <summary>
/// Fields behind the body of a request by HTTP/2 (RFC 9113, 8.1), for which messages of .NET have no place: they are put between its frames. So that
/// the stream of a request is known, its head carries a mark, which does not leave.
/// </summary>
internal sealed class RequestTrailers
{
    private const int ValueLength = 8;

    private readonly string _name = $"x-{RandomNumberGenerator.GetHexString(16, lowercase: true)}";
    private readonly ConcurrentDictionary<string, Place> _waiting = new();
    private int _last;

    /// <summary>Keeps a place for the trailers of a request.</summary>
    /// <param name="message">Without fields: the mark has to be near the beginning of its head.</param>
    public Place Reserve(HttpRequestMessage message)
    {
        var place = new Place(this, Interlocked.Increment(ref _last).ToString("x8", System.Globalization.CultureInfo.InvariantCulture));
        _waiting[place.Mark] = place;
        message.Headers.TryAddWithoutValidation(_name, place.Mark);
        return place;
    }

    /// <summary>The frames that are sent on one connection.</summary>
    public Frames Watch() => new(this);

    /// <summary>Of one request; given up with it.</summary>
    internal sealed class Place(RequestTrailers owner, string mark) : IDisposable
    {
        public string Mark => mark;

        /// <summary>Known once the body has been read; then it is sent to its end.</summary>
        public IReadOnlyList<KeyValuePair<string, string>>? Fields { get; set; }

        public void Dispose() => owner._waiting.TryRemove(mark, out _);
    }

    /// <summary>Follows the frames of a connection (RFC 9113, 4.1), of which each write holds whole ones, behind the preface (3.4).</summary>
    internal sealed class Frames(RequestTrailers owner)
    {
        private const int HeadSize = 9;
        private const int MaxPayload = 16 << 10;
        private const byte Data = 0, Headers = 1, Reset = 3, Continuation = 9;
        private const byte EndStream = 1, EndHeaders = 4;

        // A literal with a name of its own (RFC 7541, 6.2), nothing compressed, behind the octet that says so.
        private readonly byte[] _mark = [(byte)owner._name.Length, .. Encoding.ASCII.GetBytes(owner._name), ValueLength];
        private readonly Dictionary<int, Place> _streams = [];
        private int _left = 24;

        /// <returns>What is to be sent instead.</returns>
        public ReadOnlyMemory<byte> Pass(ReadOnlyMemory<byte> bytes)
        {
            ArrayBufferWriter<byte>? changed = null;
            var all = bytes.Span;
            var (at, kept) = (0, 0);
            while (true)
            {
                var skipped = Math.Min(_left, all.Length - at);
                (at, _left) = (at + skipped, _left - skipped);
                if (_left > 0 || all.Length - at < HeadSize)
                    break;
                var head = all.Slice(at, HeadSize);
                var length = head[0] << 16 | head[1] << 8 | head[2];
                var end = at + HeadSize + length;
                if (end <= all.Length && Change(head, all[(at + HeadSize)..end]) is { } instead)
                {
                    changed ??= new ArrayBufferWriter<byte>(all.Length + 1024);
                    changed.Write(all[kept..at]);
                    changed.Write(instead);
                    kept = end;
                }

                (at, _left) = (Math.Min(end, all.Length), Math.Max(0, end - all.Length));
            }

            if (changed is null)
                return bytes;
            changed.Write(all[kept..]);
            return changed.WrittenMemory;
        }

        private byte[]? Change(ReadOnlySpan<byte> head, ReadOnlySpan<byte> payload)
        {
            var stream = (head[5] & 0x7f) << 24 | head[6] << 16 | head[7] << 8 | head[8];
            switch (head[3])
            {
                case Headers when payload.IndexOf(_mark) is var at and > 0:
                    var value = at + _mark.Length;
                    if (owner._waiting.TryGetValue(Encoding.ASCII.GetString(payload.Slice(value, ValueLength)), out var place))
                        _streams[stream] = place;
                    return Frame(Headers, head[4], stream, [.. payload[..(at - 1)], .. payload[(value + ValueLength)..]]);
                case Data when (head[4] & EndStream) != 0 && payload.IsEmpty && _streams.Remove(stream, out var ended) && ended.Fields is { Count: > 0 } fields:
                    return Trailers(stream, fields);
                case Reset:
                    _streams.Remove(stream);
                    break;
            }

            return null;
        }

        private static byte[] Trailers(int stream, IReadOnlyList<KeyValuePair<string, string>> fields)
        {
            var block = new List<byte>();
            foreach (var (name, value) in fields)
            {
                block.Add(0);
                AddText(block, name.ToLowerInvariant());
                AddText(block, value);
            }

            var pieces = block.Chunk(MaxPayload).ToArray();
            return [.. pieces.SelectMany((piece, i) => Frame(
                i == 0 ? Headers : Continuation, (byte)((i == 0 ? EndStream : 0) | (i == pieces.Length - 1 ? EndHeaders : 0)), stream, piece))];
        }

        private static byte[] Frame(byte type, byte flags, int stream, byte[] payload) =>
        [
            (byte)(payload.Length >> 16), (byte)(payload.Length >> 8), (byte)payload.Length, type, flags,
            (byte)(stream >> 24), (byte)(stream >> 16), (byte)(stream >> 8), (byte)stream, .. payload,
        ];

        // RFC 7541, 5.1 and 5.2.
        private static void AddText(List<byte> block, string text)
        {
            var rest = text.Length;
            block.Add((byte)Math.Min(rest, 0x7f));
            for (rest -= 0x7f; rest >= 0; rest >>= 7)
            {
                block.Add((byte)(rest < 0x80 ? rest : rest & 0x7f | 0x80));
                if (rest < 0x80)
                    break;
            }

            block.AddRange(Encoding.Latin1.GetBytes(text));
        }
    }
}
