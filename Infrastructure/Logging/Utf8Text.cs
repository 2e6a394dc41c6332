using System.Text;

namespace Discobot.Infrastructure.Logging;

/// <summary>Text that waits to be written, as UTF-8. Its buffer is used again and again.</summary>
internal sealed class Utf8Text : TextWriter
{
    private byte[] _bytes = new byte[32 << 10];
    private int _length;

    public override Encoding Encoding => Encoding.UTF8;

    public ReadOnlySpan<byte> Bytes => _bytes.AsSpan(0, _length);

    public override void Write(char value) => Write([value]);

    public override void Write(string? value) => Write(value.AsSpan());

    public override void Write(ReadOnlySpan<char> value)
    {
        var atMost = Encoding.UTF8.GetMaxByteCount(value.Length);
        if (atMost > _bytes.Length - _length)
            Array.Resize(ref _bytes, Math.Max(2 * _bytes.Length, _length + atMost));
        _length += Encoding.UTF8.GetBytes(value, _bytes.AsSpan(_length));
    }

    public void Clear() => _length = 0;
}
