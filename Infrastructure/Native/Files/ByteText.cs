using System.Globalization;
using System.Text;

namespace Discobot.Infrastructure.Native.Files;

/// <summary>
/// The kernel's strings (arguments, environment) are bytes; .NET's are text, and would replace what is no UTF-8. Here each byte that is
/// none becomes the lone surrogate U+DC80 to U+DCFF and back, as in PEP 383: text stays text, and nothing is lost.
/// </summary>
internal static class ByteText
{
    private const char First = '\uDC80';
    private const char Last = '\uDCFF';
    private const char Replacement = '\uFFFD';

    public static string Decode(ReadOnlySpan<byte> bytes)
    {
        var text = new StringBuilder(bytes.Length);
        while (bytes.Length > 0)
        {
            if (Rune.DecodeFromUtf8(bytes, out var rune, out var length) == System.Buffers.OperationStatus.Done)
                text.Append(rune.ToString());
            else
                for (var i = 0; i < length; i++)
                    text.Append((char)(0xDC00 + bytes[i]));
            bytes = bytes[length..];
        }

        return text.ToString();
    }

    /// <summary>The bytes, and a zero that ends them for system calls.</summary>
    public static byte[] EncodeZeroTerminated(string text)
    {
        var bytes = new byte[Encoding.UTF8.GetMaxByteCount(text.Length) + 1];
        var length = 0;
        for (var i = 0; i < text.Length; i++)
        {
            if (text[i] is >= First and <= Last && (i == 0 || !char.IsHighSurrogate(text[i - 1])))
                bytes[length++] = (byte)(text[i] - 0xDC00);
            else
            {
                var rune = Rune.TryGetRuneAt(text, i, out var whole) ? whole : new Rune(Replacement);
                length += rune.EncodeToUtf8(bytes.AsSpan(length));
                i += rune.Utf16SequenceLength - 1;
            }
        }

        return bytes[..(length + 1)];
    }

    /// <summary>Whether it is text, which everybody can pass on.</summary>
    public static bool IsText(string text) => !text.EnumerateRunes().Contains(new Rune(Replacement)) || Decode(Encoding.UTF8.GetBytes(text)) == text;

    /// <summary>Percent-encodes the bytes that are no text, and the percent sign.</summary>
    public static string Escape(string text)
    {
        var escaped = new StringBuilder(text.Length);
        for (var i = 0; i < text.Length; i++)
        {
            if (text[i] == '%' || (text[i] is >= First and <= Last && (i == 0 || !char.IsHighSurrogate(text[i - 1]))))
                escaped.Append(CultureInfo.InvariantCulture, $"%{(byte)text[i]:X2}");
            else
                escaped.Append(text[i]);
        }

        return escaped.ToString();
    }

    /// <summary>The reverse of <see cref="Escape"/>.</summary>
    public static string Unescape(string text)
    {
        var plain = new StringBuilder(text.Length);
        for (var i = 0; i < text.Length; i++)
        {
            if (text[i] == '%' && i + 2 < text.Length && byte.TryParse(text.AsSpan(i + 1, 2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var value))
            {
                plain.Append(value < 0x80 ? (char)value : (char)(0xDC00 + value));
                i += 2;
            }
            else
            {
                plain.Append(text[i]);
            }
        }

        return plain.ToString();
    }

    /// <summary>The environment this process was started with. Entries without a name are left out; of those with the same name the first counts,
    /// as it does for getenv(3).</summary>
    public static Dictionary<string, string> OwnEnvironment()
    {
        var environment = new Dictionary<string, string>();
        foreach (var entry in Own("environ"))
        {
            if (entry.IndexOf('=', StringComparison.Ordinal) is > 0 and var equals)
                environment.TryAdd(entry[..equals], entry[(equals + 1)..]);
        }

        return environment;
    }

    /// <summary>The last arguments of this process.</summary>
    public static IReadOnlyList<string> OwnArguments(int count) => [.. Own("cmdline").TakeLast(count)];

    private static IEnumerable<string> Own(string file)
    {
        var bytes = File.ReadAllBytes("/proc/self/" + file);
        for (int start = 0, end; start < bytes.Length && (end = Array.IndexOf(bytes, (byte)0, start)) >= 0; start = end + 1)
            yield return Decode(bytes.AsSpan(start, end - start));
    }
}
