using System.Buffers.Binary;
using System.Net;
using System.Text;

namespace Discobot.Features.Egress.Dns;

/// <summary>One record of an answer that is kept: an address, another name to go on with, or how a service is reached.</summary>
/// <param name="Name">Lower case, without a dot at the end.</param>
/// <param name="Type">A, AAAA, CNAME, HTTPS or SVCB.</param>
/// <param name="Seconds">How long it may be kept, 0 to a day.</param>
/// <param name="Address">For A and AAAA.</param>
/// <param name="Alias">For CNAME.</param>
internal sealed record DnsRecord(string Name, DnsType Type, uint Seconds, IPAddress? Address, string? Alias)
{
    /// <summary>For HTTPS and SVCB.</summary>
    public ServiceBinding? Service { get; init; }
}

/// <summary>What a name server said, as far as it is passed on: a code, and records.</summary>
internal sealed record DnsAnswer(DnsCode Code, IReadOnlyList<DnsRecord> Records)
{
    /// <summary>RFC 2308, 5 asks for a limit on what is remembered of names that do not exist.</summary>
    private const uint NegativeSeconds = 30;

    private const int OptSize = 11;
    private const uint MaxSeconds = 24 * 60 * 60;
    private const int MaxRecords = 64;

    /// <summary>Of all services of a name, in bytes: what is longer is taken for malformed, as it is remembered for many names.</summary>
    private const int MaxServices = 4096;

    public static readonly DnsAnswer Empty = new(DnsCode.NoError, []);
    public static readonly DnsAnswer NoSuchName = new(DnsCode.NoSuchName, []);
    public static readonly DnsAnswer Failed = new(DnsCode.ServerFailure, []);

    /// <summary>How long it may be answered from memory.</summary>
    public TimeSpan Lifetime => Code is DnsCode.NoError && Records.Count > 0 ? TimeSpan.FromSeconds(Records.Min(r => r.Seconds))
        : Code is DnsCode.NoError or DnsCode.NoSuchName ? TimeSpan.FromSeconds(NegativeSeconds) : TimeSpan.Zero;

    /// <summary>The same after a while in memory: whoever is told keeps it no longer than whoever was told first (RFC 1035, 3.2.1).</summary>
    public DnsAnswer AgedBy(TimeSpan age) => age < TimeSpan.FromSeconds(1) ? this
        : this with { Records = [.. Records.Select(r => r with { Seconds = (uint)Math.Max(0, r.Seconds - (long)age.TotalSeconds) })] };

    /// <summary>Whether it did not fit into a datagram: to be asked again over TCP.</summary>
    public static bool IsTruncated(ReadOnlySpan<byte> message) => (message[2] & 2) != 0;

    /// <summary>Reads the answers of a message whose header and question were checked.</summary>
    /// <returns>Null when it is malformed.</returns>
    public static DnsAnswer? Read(ReadOnlySpan<byte> message, int questionLength)
    {
        var at = DnsQuestion.HeaderSize + questionLength;
        var count = Math.Min(DnsQuestion.Count(message, 6), MaxRecords);
        var records = new List<DnsRecord>(count);
        var (services, areServicesBroken) = (0, false);
        for (var i = 0; i < count; i++)
        {
            if (!DnsQuestion.TryReadName(message, ref at, out var name) || at + 10 > message.Length)
                return null;
            var type = (DnsType)BinaryPrimitives.ReadUInt16BigEndian(message[at..]);
            // RFC 2181, 8: a time with the highest bit set is none.
            var seconds = BinaryPrimitives.ReadUInt32BigEndian(message[(at + 4)..]) is var s and <= int.MaxValue ? Math.Min(s, MaxSeconds) : 0;
            var length = BinaryPrimitives.ReadUInt16BigEndian(message[(at + 8)..]);
            at += 10;
            if (at + length > message.Length)
                return null;
            var data = message.Slice(at, length);
            var inside = at;
            at += length;
            switch (type)
            {
                case DnsType.A when length == 4:
                case DnsType.Aaaa when length == 16:
                    records.Add(new DnsRecord(name, type, seconds, new IPAddress(data), null));
                    break;
                case DnsType.Cname when DnsQuestion.TryReadName(message, ref inside, out var alias):
                    records.Add(new DnsRecord(name, type, seconds, null, alias));
                    break;
                case DnsType.Https or DnsType.Svcb when ServiceBinding.TryRead(data, out var service) && (services += length) <= MaxServices:
                    if (service is not null)
                        records.Add(new DnsRecord(name, type, seconds, null, null) { Service = service });
                    break;
                case DnsType.Https or DnsType.Svcb:
                    areServicesBroken = true;
                    break;
            }
        }

        if (areServicesBroken)
            records.RemoveAll(r => r.Service is not null);
        return new DnsAnswer((DnsCode)(message[3] & 0x0F), records);
    }

    /// <summary>The message for a client: its own number and question, recursion available.</summary>
    /// <param name="question">What it asked.</param>
    /// <param name="limit">How many bytes the message may have; what does not fit is left out and said to be (TC).</param>
    public byte[] Write(DnsQuestion question, int limit)
    {
        var message = new MemoryStream(512);
        message.Write(Header(question.Id, question.WantsRecursion, Code));
        message.Write(question.Bytes.Span);
        var opt = question.HasOpt ? OptSize : 0;
        ushort written = 0;
        var truncated = false;
        foreach (var record in Records)
        {
            var bytes = Write(record, question);
            if (message.Length + bytes.Length + opt > limit)
            {
                truncated = true;
                break;
            }

            message.Write(bytes);
            written++;
        }

        return Finish(message, question, written, truncated);
    }

    /// <summary>Of a server's message the answers of the type that was asked for, and the aliases before them, under the client's own number and letters.
    /// What follows them, and other sections, is left out: hosts that nobody has judged may have addresses there. Records are not read, and pointers
    /// in them lead only to what stands before them.</summary>
    /// <param name="message">Checked to be an answer to the question.</param>
    /// <param name="question">What was asked.</param>
    /// <param name="limit">How many bytes the message may have; where the answers do not fit none is told (TC).</param>
    public static byte[] Answers(ReadOnlySpan<byte> message, DnsQuestion question, int limit)
    {
        var at = DnsQuestion.HeaderSize + question.Bytes.Length;
        var (end, answers) = (at, (ushort)0);
        for (var left = DnsQuestion.Count(message, 6); left > 0 && DnsQuestion.TryReadName(message, ref at, out _) && at + 10 <= message.Length; left--)
        {
            var type = (DnsType)BinaryPrimitives.ReadUInt16BigEndian(message[at..]);
            at += 10 + BinaryPrimitives.ReadUInt16BigEndian(message[(at + 8)..]);
            if (at > message.Length || (type != question.Type && type is not (DnsType.Cname or DnsType.Dname)))
                break;
            end = at;
            answers++;
        }

        var whole = new MemoryStream(end + OptSize);
        whole.Write(Header(question.Id, question.WantsRecursion, (DnsCode)(message[3] & 0x0F)));
        whole.Write(question.Bytes.Span);
        var fits = end + (question.HasOpt ? OptSize : 0) <= limit;
        if (fits)
            whole.Write(message[(int)whole.Length..end]);
        return Finish(whole, question, fits ? answers : (ushort)0, truncated: !fits);
    }

    // Behind header, question and answers.
    private static byte[] Finish(MemoryStream message, DnsQuestion question, ushort answers, bool truncated)
    {
        if (question.HasOpt)
            message.Write([0, 0, (byte)DnsType.Opt, 0x04, 0xD0, 0, 0, 0, 0, 0, 0]);
        var whole = message.ToArray();
        whole[5] = 1;
        BinaryPrimitives.WriteUInt16BigEndian(whole.AsSpan(6), answers);
        whole[11] = (byte)(question.HasOpt ? 1 : 0);
        if (truncated)
            whole[2] |= 2;
        return whole;
    }

    /// <summary>A server's message as it is, under the client's own number and letters; one that does not fit is only said to be longer (TC).</summary>
    public static byte[] Repeat(ReadOnlySpan<byte> message, DnsQuestion question, int limit)
    {
        var length = DnsQuestion.HeaderSize + question.Bytes.Length;
        var fits = message.Length <= limit;
        var repeated = message[..(fits ? message.Length : length)].ToArray();
        BinaryPrimitives.WriteUInt16BigEndian(repeated, question.Id);
        question.Bytes.Span.CopyTo(repeated.AsSpan(DnsQuestion.HeaderSize));
        if (!fits)
        {
            repeated[2] |= 2;
            repeated.AsSpan(6, 6).Clear();
        }

        return repeated;
    }

    /// <summary>The message for a client whose question could not be read.</summary>
    public static byte[] Refuse(ReadOnlySpan<byte> message, DnsCode code) =>
        Header(BinaryPrimitives.ReadUInt16BigEndian(message), recursion: (message[2] & 1) != 0, code);

    private static byte[] Header(ushort id, bool recursion, DnsCode code)
    {
        var header = new byte[DnsQuestion.HeaderSize];
        BinaryPrimitives.WriteUInt16BigEndian(header, id);
        header[2] = (byte)(0x80 | (recursion ? 1 : 0));
        header[3] = (byte)(0x80 | (byte)code);
        return header;
    }

    private static byte[] Write(DnsRecord record, DnsQuestion question)
    {
        var bytes = new MemoryStream();
        // The name asked for stands behind the header: a pointer to it, with the client's own letters.
        if (record.Name == question.Name)
            bytes.Write([0xC0, DnsQuestion.HeaderSize]);
        else
            WriteName(bytes, record.Name);
        var data = record.Address?.GetAddressBytes() ?? record.Service?.ToBytes() ?? NameBytes(record.Alias!);
        Span<byte> fixedPart = stackalloc byte[10];
        BinaryPrimitives.WriteUInt16BigEndian(fixedPart, (ushort)record.Type);
        BinaryPrimitives.WriteUInt16BigEndian(fixedPart[2..], 1);
        BinaryPrimitives.WriteUInt32BigEndian(fixedPart[4..], record.Seconds);
        BinaryPrimitives.WriteUInt16BigEndian(fixedPart[8..], (ushort)data.Length);
        bytes.Write(fixedPart);
        bytes.Write(data);
        return bytes.ToArray();
    }

    private static byte[] NameBytes(string name)
    {
        var bytes = new MemoryStream();
        WriteName(bytes, name);
        return bytes.ToArray();
    }

    /// <summary>Writes a name, without pointers.</summary>
    internal static void WriteName(MemoryStream bytes, string name)
    {
        foreach (var label in name.Split('.', StringSplitOptions.RemoveEmptyEntries))
        {
            bytes.WriteByte((byte)label.Length);
            bytes.Write(Encoding.Latin1.GetBytes(label));
        }

        bytes.WriteByte(0);
    }
}
