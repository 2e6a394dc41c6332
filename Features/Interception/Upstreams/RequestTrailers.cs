using System.Buffers;
using System.Collections.Concurrent;
using System.Security.Cryptography;
using System.Text;

namespace Discobot.Features.Interception.Upstreams;

/// <summary>
/// What messages of .NET have no place for: fields behind the body of a request by HTTP/2 (RFC 9113, 8.1), the code of a reset (6.4), and that what
/// cannot be sent again is not (8.7). It is done between the frames. So that the stream of a request is known, its head carries a mark, which does not leave.
/// </summary>
internal sealed class RequestTrailers
{
    private const int ValueLength = 8;

    private readonly string _name = $"x-{RandomNumberGenerator.GetHexString(16, lowercase: true)}";
    private readonly ConcurrentDictionary<string, Place> _waiting = new();
    private int _last;

    /// <summary>Keeps a place for the trailers of a request.</summary>
    /// <param name="message">Without fields: the mark has to be near the beginning of its head.</param>
    /// <param name="reset">The code with which its client has reset it, if it has.</param>
    public Place Reserve(HttpRequestMessage message, Func<int?> reset)
    {
        var place = new Place(this, Interlocked.Increment(ref _last).ToString("x8", System.Globalization.CultureInfo.InvariantCulture)) { Reset = reset };
        _waiting[place.Mark] = place;
        message.Headers.TryAddWithoutValidation(_name, place.Mark);
        return place;
    }

    /// <summary>The frames that are sent on one connection.</summary>
    public Frames Watch() => new(this);

    /// <summary>Of one request; given up with it.</summary>
    internal sealed class Place(RequestTrailers owner, string mark) : IDisposable
    {
        private readonly Lock _lock = new();
        private (Frames Frames, int Stream)? _sentOn;
        private int _sent;
        private volatile int _taken;
        private bool _isOver;

        public string Mark => mark;

        /// <summary>Known once the body has been read; then it is sent to its end.</summary>
        public IReadOnlyList<KeyValuePair<string, string>>? Fields { get; set; }

        /// <summary>With which code its client has reset it; null: it has not. Of .NET every stream that is given up is a cancelled one.</summary>
        public required Func<int?> Reset { get; init; }

        /// <summary>What has become of its direction, if it is a tunnel.</summary>
        public TunnelEnd? Tunnel { get; set; }

        /// <summary>Whether some of the body has gone, so that the request cannot be sent again.</summary>
        public bool IsTaken => _taken > 0;

        /// <summary>Some of the body goes.</summary>
        /// <param name="attempt">From 1; .NET sends again by itself what the server has refused (RFC 9113, 8.7).</param>
        public void Take(int attempt) => _taken = attempt;

        /// <summary>Its head is about to leave on a stream.</summary>
        /// <returns>False: it must not, as it has left before and the body cannot follow again.</returns>
        public bool TrySendOn(Frames frames, int stream)
        {
            lock (_lock)
            {
                if (++_sent > _taken && IsTaken)
                    return false;
                _sentOn?.Frames.Forget(_sentOn.Value.Stream);
                _sentOn = (frames, stream);
                if (!_isOver)
                    frames.Follow(stream, this);
                return true;
            }
        }

        public void Dispose()
        {
            owner._waiting.TryRemove(mark, out _);
            lock (_lock)
            {
                _isOver = true;
                // The end of a tunnel leaves when .NET gets round to it.
                if (Tunnel is null or { IsReset: true })
                    _sentOn?.Frames.Forget(_sentOn.Value.Stream, Reset());
            }
        }
    }

    /// <summary>Follows the frames of a connection (RFC 9113, 4.1), of which each write holds whole ones, behind the preface (3.4).</summary>
    internal sealed class Frames(RequestTrailers owner)
    {
        private const int HeadSize = 9;
        private const int MaxPayload = 16 << 10;
        private const int MaxResets = 1000;
        private const int Cancel = 8;
        private const byte Data = 0, Headers = 1, Reset = 3, Continuation = 9;
        private const byte EndStream = 1, EndHeaders = 4;

        // A literal with a name of its own (RFC 7541, 6.2), nothing compressed, behind the octet that says so.
        private readonly byte[] _mark = [(byte)owner._name.Length, .. Encoding.ASCII.GetBytes(owner._name), ValueLength];
        private readonly ConcurrentDictionary<int, Place> _streams = new();
        // Those whose head was kept back: for the server they do not exist.
        private readonly HashSet<int> _hidden = [];
        // Those that their clients have reset, and whose end has not left yet.
        private readonly ConcurrentDictionary<int, int> _resets = new();
        private int _left = 24;

        /// <summary>How many streams are known, for tests.</summary>
        public int Count => _streams.Count;

        public void Follow(int stream, Place place) => _streams[stream] = place;

        /// <param name="stream">Whose request is over.</param>
        /// <param name="reset">The code with which it ends, if it has not ended yet.</param>
        public void Forget(int stream, int? reset = null)
        {
            if (!_streams.TryRemove(stream, out _) || reset is not { } code)
                return;
            if (_resets.Count >= MaxResets)
                _resets.Clear();
            _resets[stream] = code;
        }

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
            if (_hidden.Contains(stream))
            {
                if (head[3] == Reset)
                    _hidden.Remove(stream);
                return [];
            }

            switch (head[3])
            {
                case Headers when payload.IndexOf(_mark) is var at and > 0:
                    var value = at + _mark.Length;
                    if (owner._waiting.TryGetValue(Encoding.ASCII.GetString(payload.Slice(value, ValueLength)), out var sent) && !sent.TrySendOn(this, stream))
                    {
                        _hidden.Add(stream);
                        return [];
                    }

                    return Frame(Headers, head[4], stream, [.. payload[..(at - 1)], .. payload[(value + ValueLength)..]]);
                case Data when _streams.TryGetValue(stream, out var place) && place.Tunnel is { } tunnel:
                    return (head[4] & EndStream) != 0 ? End(stream, place, tunnel)
                        : tunnel.Pass(payload.Length) ? Frame(Data, EndStream, stream, []) : null;
                case Data when (head[4] & EndStream) != 0 && payload.IsEmpty && _streams.TryRemove(stream, out var ended) && ended.Fields is { Count: > 0 } fields:
                    return Trailers(stream, fields);
                case Reset when payload is [0, 0, 0, Cancel] && CodeOf(stream) is { } code:
                    return ResetFrame(stream, code);
            }

            return null;
        }

        // .NET is done with a tunnel: it says an end in order, and a reset behind it unless the server has ended its direction too.
        private byte[] End(int stream, Place place, TunnelEnd tunnel)
        {
            Forget(stream, tunnel.IsAnswered ? null : place.Reset());
            return tunnel.IsBroken ? ResetFrame(stream, place.Reset() ?? Cancel) : [];
        }

        private static byte[] ResetFrame(int stream, int code) =>
            Frame(Reset, 0, stream, [(byte)(code >> 24), (byte)(code >> 16), (byte)(code >> 8), (byte)code]);

        private int? CodeOf(int stream) =>
            _streams.TryGetValue(stream, out var place) ? place.Reset() : _resets.TryRemove(stream, out var code) ? code : null;

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
