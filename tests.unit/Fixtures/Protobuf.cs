using System.Buffers.Binary;
using System.Text;

namespace Discobot.Tests.Fixtures;

/// <summary>A message of Protocol Buffers, read by nothing but its wire format: fields by number.</summary>
internal sealed class Protobuf
{
    private readonly List<(int Field, ulong Number, byte[] Bytes)> _fields = [];

    /// <exception cref="FormatException">It is none.</exception>
    public Protobuf(ReadOnlySpan<byte> message)
    {
        while (message.Length > 0)
        {
            var key = Varint(ref message);
            var (number, bytes) = (0UL, Array.Empty<byte>());
            switch (key & 7)
            {
                case 0:
                    number = Varint(ref message);
                    break;
                case 1:
                    number = BinaryPrimitives.ReadUInt64LittleEndian(message);
                    message = message[8..];
                    break;
                case 2:
                    var length = (int)Varint(ref message);
                    bytes = message[..length].ToArray();
                    message = message[length..];
                    break;
                case 5:
                    number = BinaryPrimitives.ReadUInt32LittleEndian(message);
                    message = message[4..];
                    break;
                default:
                    throw new FormatException($"wire type {key & 7}");
            }

            _fields.Add(((int)(key >> 3), number, bytes));
        }
    }

    public bool Has(int field) => _fields.Exists(f => f.Field == field);

    public IEnumerable<Protobuf> All(int field) => _fields.Where(f => f.Field == field).Select(f => new Protobuf(f.Bytes));

    public Protobuf One(int field) => All(field).Single();

    /// <summary>0 where it is left out, as the format has it.</summary>
    public ulong Number(int field) => _fields.SingleOrDefault(f => f.Field == field).Number;

    public double Double(int field) => BitConverter.UInt64BitsToDouble(Number(field));

    public string Text(int field) => Encoding.UTF8.GetString(_fields.SingleOrDefault(f => f.Field == field).Bytes ?? []);

    public string Hex(int field) => Convert.ToHexStringLower(_fields.SingleOrDefault(f => f.Field == field).Bytes ?? []);

    private static ulong Varint(ref ReadOnlySpan<byte> message)
    {
        var value = 0UL;
        for (var shift = 0; ; shift += 7)
        {
            var octet = message[0];
            message = message[1..];
            value |= (ulong)(octet & 0x7F) << shift;
            if (octet < 0x80)
                return value;
        }
    }
}
