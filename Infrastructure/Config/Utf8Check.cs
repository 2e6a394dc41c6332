using System.Buffers;
using System.Text;

namespace Discobot.Infrastructure.Config;

internal static class Utf8Check
{
    /// <summary>The place of the first byte that is not UTF-8; null when all is well.</summary>
    public static ConfigPlace? FirstBadByte(ReadOnlySpan<byte> text, string source)
    {
        int line = 1, column = 1;
        while (!text.IsEmpty)
        {
            if (Rune.DecodeFromUtf8(text, out var rune, out var used) != OperationStatus.Done)
                return new ConfigPlace(source, line, column);
            (line, column) = rune.Value == '\n' ? (line + 1, 1) : (line, column + 1);
            text = text[used..];
        }

        return null;
    }
}
