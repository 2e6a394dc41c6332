using System.Buffers.Binary;
using System.Text;

namespace Discobot.Features.Egress.Dns;

/// <summary>Response codes (RFC 1035, 4.1.1).</summary>
internal enum DnsCode : byte
{
    NoError = 0,
    FormatError = 1,
    ServerFailure = 2,
    NoSuchName = 3,
    NotImplemented = 4,
    Refused = 5,
}

/// <summary>
/// A question, as its bytes stand in a message (RFC 1035, 4.1):
/// <code>
/// id 2 | flags 2 | questions 2 | answers 2 | authorities 2 | additionals 2 | name, type 2, class 2
/// </code>
/// </summary>
internal sealed record DnsQuestion
{
    public const int HeaderSize = 12;

    private const int MaxName = 255;

    /// <summary>Chosen by who asks; the answer repeats it.</summary>
    public required ushort Id { get; init; }

    /// <summary>Lower case, without a dot at the end; the root is empty. Only names that a host can have are told apart by their text: a byte
    /// that is no letter, digit, hyphen or underscore makes <see cref="IsHostName"/> false.</summary>
    public required string Name { get; init; }

    public required DnsType Type { get; init; }

    public required bool IsHostName { get; init; }

    /// <summary>The name, type and class as the client wrote them: its answer repeats the letters' case.</summary>
    public required ReadOnlyMemory<byte> Bytes { get; init; }

    /// <summary>How many bytes a UDP answer may have: 512, or what the client's OPT record says (RFC 6891, 6.2.3), at most 1232.</summary>
    public int MaxDatagram { get; init; } = 512;

    public bool HasOpt { get; init; }

    public bool WantsRecursion { get; init; }

    /// <summary>Reads a query of exactly one question of class IN.</summary>
    /// <param name="message">The whole message.</param>
    /// <param name="question">What is asked.</param>
    /// <param name="error">How to refuse what is no such query; null: not at all, as it is no query.</param>
    public static bool TryRead(ReadOnlyMemory<byte> message, out DnsQuestion? question, out DnsCode? error)
    {
        (question, error) = (null, null);
        var bytes = message.Span;
        if (bytes.Length < HeaderSize || (bytes[2] & 0x80) != 0)
            return false;
        error = DnsCode.FormatError;
        if ((bytes[2] & 0x78) != 0)
        {
            error = DnsCode.NotImplemented;
            return false;
        }

        var at = HeaderSize;
        if (Count(bytes, 4) != 1 || Count(bytes, 6) != 0 || Count(bytes, 8) != 0 || !TryReadPlainName(bytes, ref at, out var name, out var isHost)
            || at + 4 > bytes.Length)
            return false;
        var type = BinaryPrimitives.ReadUInt16BigEndian(bytes[at..]);
        var @class = BinaryPrimitives.ReadUInt16BigEndian(bytes[(at + 2)..]);
        at += 4;
        if (@class != 1)
        {
            error = DnsCode.NotImplemented;
            return false;
        }

        // The OPT record is the only additional one read here: root name, type, size of datagrams.
        var opt = Count(bytes, 10) > 0 && at + 11 <= bytes.Length && bytes[at] == 0
            && BinaryPrimitives.ReadUInt16BigEndian(bytes[(at + 1)..]) == (ushort)DnsType.Opt;
        error = null;
        question = new DnsQuestion
        {
            Id = BinaryPrimitives.ReadUInt16BigEndian(bytes),
            Name = name,
            Type = (DnsType)type,
            IsHostName = isHost,
            Bytes = message[HeaderSize..(HeaderSize + QuestionLength(bytes))],
            HasOpt = opt,
            MaxDatagram = opt ? Math.Clamp((int)BinaryPrimitives.ReadUInt16BigEndian(bytes[(at + 3)..]), 512, 1232) : 512,
            WantsRecursion = (bytes[2] & 1) != 0,
        };
        return true;
    }

    /// <summary>The query as it is sent on: a new number, the name in lower case, an OPT record of our own and nothing else of the client's,
    /// as letters' case, options and padding can carry data out.</summary>
    public byte[] ToQuery(ushort id)
    {
        var query = new byte[HeaderSize + Bytes.Length + 11];
        BinaryPrimitives.WriteUInt16BigEndian(query, id);
        query[2] = 1;
        query[5] = 1;
        query[11] = 1;
        LowerCase(Bytes.Span, query.AsSpan(HeaderSize));
        var opt = query.AsSpan(HeaderSize + Bytes.Length);
        BinaryPrimitives.WriteUInt16BigEndian(opt[1..], (ushort)DnsType.Opt);
        BinaryPrimitives.WriteUInt16BigEndian(opt[3..], 1232);
        return query;
    }

    /// <summary>The same name's records of another type.</summary>
    public DnsQuestion OfType(DnsType type)
    {
        var bytes = Bytes.ToArray();
        BinaryPrimitives.WriteUInt16BigEndian(bytes.AsSpan(bytes.Length - 4), (ushort)type);
        return this with { Type = type, Bytes = bytes };
    }

    /// <summary>Whether these bytes are an answer to the query that <see cref="ToQuery"/> made.</summary>
    public bool IsAnswer(ReadOnlySpan<byte> answer, ushort id)
    {
        if (answer.Length < HeaderSize + Bytes.Length || BinaryPrimitives.ReadUInt16BigEndian(answer) != id || (answer[2] & 0x80) == 0 || Count(answer, 4) != 1)
            return false;
        var mine = new byte[Bytes.Length];
        var theirs = new byte[Bytes.Length];
        LowerCase(Bytes.Span, mine);
        LowerCase(answer.Slice(HeaderSize, Bytes.Length), theirs);
        return mine.AsSpan().SequenceEqual(theirs);
    }

    internal static int Count(ReadOnlySpan<byte> message, int offset) => BinaryPrimitives.ReadUInt16BigEndian(message[offset..]);

    /// <summary>Reads a name that may point back into the message (RFC 1035, 4.1.4). Each pointer must point further back than the one before,
    /// so that none leads round in a circle.</summary>
    internal static bool TryReadName(ReadOnlySpan<byte> message, ref int at, out string name)
    {
        var text = new StringBuilder();
        name = "";
        var (here, limit, after) = (at, at, -1);
        while (here < message.Length)
        {
            var length = message[here];
            if (length == 0)
            {
                at = after >= 0 ? after : here + 1;
                name = text.ToString();
                return true;
            }

            if ((length & 0xC0) == 0xC0)
            {
                if (here + 1 >= message.Length)
                    return false;
                var target = (length & 0x3F) << 8 | message[here + 1];
                after = after >= 0 ? after : here + 2;
                if (target >= limit)
                    return false;
                (here, limit) = (target, target);
                continue;
            }

            if (length > 63 || here + 1 + length > message.Length || text.Length + length + 1 > MaxName)
                return false;
            if (text.Length > 0)
                text.Append('.');
            foreach (var b in message.Slice(here + 1, length))
            {
                // Names are written again from their text, where a dot ends a label.
                if (b == (byte)'.')
                    return false;
                text.Append((char)Lower(b));
            }

            here += 1 + length;
        }

        return false;
    }

    /// <summary>Reads a name without pointers. One with a byte that no host's name has is only told as such: its text may be another's.</summary>
    internal static bool TryReadPlainName(ReadOnlySpan<byte> message, ref int at, out string name, out bool isHost)
    {
        var text = new StringBuilder();
        (name, isHost) = ("", true);
        while (at < message.Length && message[at] is var length and not 0)
        {
            if (length > 63 || at + 1 + length > message.Length || text.Length + length + 2 > MaxName)
                return false;
            if (text.Length > 0)
                text.Append('.');
            foreach (var b in message.Slice(at + 1, length))
            {
                isHost &= char.IsAsciiLetterOrDigit((char)b) || b is (byte)'-' or (byte)'_';
                text.Append((char)Lower(b));
            }

            at += 1 + length;
        }

        at++;
        name = text.ToString();
        return at <= message.Length;
    }

    private static int QuestionLength(ReadOnlySpan<byte> message)
    {
        var at = HeaderSize;
        while (message[at] != 0)
            at += 1 + message[at];
        return at + 5 - HeaderSize;
    }

    // A label's length is below 64 and so no letter; type and class follow the name, and A to Z are types nobody asks for by hand.
    private static void LowerCase(ReadOnlySpan<byte> question, Span<byte> into)
    {
        for (var i = 0; i < question.Length; i++)
            into[i] = i < question.Length - 4 ? Lower(question[i]) : question[i];
    }

    private static byte Lower(byte b) => b is >= (byte)'A' and <= (byte)'Z' ? (byte)(b | 0x20) : b;
}
