using System.Buffers;
using System.Buffers.Binary;
using System.IO.Pipelines;
using System.Text;

namespace Discobot.Features.Interception.Tls;

/// <summary>
/// What a TLS client says before anything is encrypted (RFC 8446, 4.1.2), read without consuming it:
/// <code>
/// record:  22 | version 2 | length 2 | fragment            (RFC 8446, 5.1; a hello may span several)
/// hello:   1 | length 3 | version 2 | random 32 | session id 1+n | suites 2+n | compression 1+n | extensions 2+n
/// </code>
/// </summary>
/// <param name="ServerName">The host asked for (RFC 6066, 3), as it was sent; null when none was. With encrypted client hello, the outer name.</param>
/// <param name="Protocols">Application protocols offered (RFC 7301), in the client's order.</param>
internal sealed record ClientHello(string? ServerName, IReadOnlyList<string> Protocols)
{
    /// <summary>Hellos with post-quantum keys have about 2 KiB; OpenSSL accepts up to this much.</summary>
    private const int MaxSize = 128 * 1024;

    private const int RecordHeader = 5;
    private const ushort ServerNameExtension = 0;
    private const ushort ProtocolsExtension = 16;

    /// <summary>Waits for the whole hello.</summary>
    /// <param name="input">Begins with a TLS record.</param>
    /// <param name="cancellation">Ends the wait.</param>
    /// <returns>Null when it is malformed, or the client left.</returns>
    /// <exception cref="OperationCanceledException">It did not come in time.</exception>
    public static async ValueTask<ClientHello?> PeekAsync(PipeReader input, CancellationToken cancellation)
    {
        while (true)
        {
            var read = await input.ReadAsync(cancellation);
            var state = TryRead(read.Buffer, out var hello);
            // Read again at once when all is here; when more is needed, only when more has come.
            var decided = state is not null || read.IsCompleted || read.Buffer.Length > MaxSize;
            input.AdvanceTo(read.Buffer.Start, decided ? read.Buffer.Start : read.Buffer.End);
            if (decided)
                return hello;
        }
    }

    /// <returns>True: read. False: it will never be a hello. Null: more bytes are needed.</returns>
    internal static bool? TryRead(in ReadOnlySequence<byte> bytes, out ClientHello? hello)
    {
        hello = null;
        var records = new SequenceReader<byte>(bytes);
        var handshake = new ArrayBufferWriter<byte>(2048);
        while (true)
        {
            if (handshake.WrittenCount >= 4)
            {
                var message = handshake.WrittenSpan;
                var length = message[1] << 16 | message[2] << 8 | message[3];
                if (message[0] != 1 || length > MaxSize)
                    return false;
                if (message.Length >= 4 + length)
                    return TryReadBody(message.Slice(4, length), out hello);
            }

            if (!records.TryRead(out var type))
                return null;
            if (type != 22)
                return false;
            if (records.Remaining < RecordHeader - 1)
                return null;
            records.Advance(2);
            _ = records.TryReadBigEndian(out short size);
            if (size <= 0)
                return false;
            var take = (int)Math.Min((ushort)size, records.Remaining);
            records.Sequence.Slice(records.Position, take).CopyTo(handshake.GetSpan(take));
            handshake.Advance(take);
            records.Advance(take);
            if (take < (ushort)size && handshake.WrittenCount < 4)
                return null;
        }
    }

    private static bool TryReadBody(ReadOnlySpan<byte> body, out ClientHello? hello)
    {
        hello = null;
        string? name = null;
        var protocols = new List<string>();
        if (!TrySkip(ref body, 2 + 32) || !TryTake(ref body, 1, out _) || !TryTake(ref body, 2, out _) || !TryTake(ref body, 1, out _))
            return false;
        // SSL 3 hellos end here.
        if (!body.IsEmpty)
        {
            if (!TryTake(ref body, 2, out var extensions))
                return false;
            while (!extensions.IsEmpty)
            {
                if (extensions.Length < 4)
                    return false;
                var type = BinaryPrimitives.ReadUInt16BigEndian(extensions);
                extensions = extensions[2..];
                if (!TryTake(ref extensions, 2, out var data))
                    return false;
                if (type == ServerNameExtension && TryTake(ref data, 2, out var names))
                    name = ReadName(names);
                else if (type == ProtocolsExtension && TryTake(ref data, 2, out var list))
                    ReadProtocols(list, protocols);
            }
        }

        hello = new ClientHello(name, protocols);
        return true;
    }

    private static string? ReadName(ReadOnlySpan<byte> names) =>
        names.Length > 3 && names[0] == 0 && BinaryPrimitives.ReadUInt16BigEndian(names[1..]) is var length and > 0 && length <= names.Length - 3
            ? Encoding.Latin1.GetString(names.Slice(3, length))
            : null;

    private static void ReadProtocols(ReadOnlySpan<byte> list, List<string> protocols)
    {
        while (TryTake(ref list, 1, out var protocol))
            protocols.Add(Encoding.Latin1.GetString(protocol));
    }

    private static bool TrySkip(ref ReadOnlySpan<byte> bytes, int count)
    {
        if (bytes.Length < count)
            return false;
        bytes = bytes[count..];
        return true;
    }

    // A vector: its length in one or two bytes, then its content (RFC 8446, 3.4).
    private static bool TryTake(ref ReadOnlySpan<byte> bytes, int lengthSize, out ReadOnlySpan<byte> content)
    {
        content = default;
        if (bytes.Length < lengthSize)
            return false;
        var length = lengthSize == 1 ? bytes[0] : BinaryPrimitives.ReadUInt16BigEndian(bytes);
        if (bytes.Length < lengthSize + length)
            return false;
        content = bytes.Slice(lengthSize, length);
        bytes = bytes[(lengthSize + length)..];
        return true;
    }
}
