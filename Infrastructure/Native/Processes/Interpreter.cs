using System.Text;

namespace Discobot.Infrastructure.Native.Processes;

/// <summary>What a program is run by: the kernel says "No such file" of the program when that is missing.</summary>
internal static class Interpreter
{
    // As much as the kernel looks at (BINPRM_BUF_SIZE).
    private const int Head = 256;

    /// <summary>In words, what of a program that cannot be found is not there; null when that is the program itself.</summary>
    /// <param name="program">A path, which has a slash.</param>
    public static string? MissingOf(string program)
    {
        if (!program.Contains('/', StringComparison.Ordinal) || !File.Exists(program))
            return null;
        try
        {
            using var file = File.OpenHandle(program);
            var head = new byte[Head];
            var text = Encoding.Latin1.GetString(head, 0, RandomAccess.Read(file, head, 0));
            if (!text.StartsWith("#!", StringComparison.Ordinal))
                return "not the loader or the C library that it was made for";
            var line = text[2..].Split('\n')[0];
            var interpreter = line.Trim(' ', '\t').Split(' ', '\t')[0];
            return line.EndsWith('\r') ? $"its first line ends in CR LF, so that its interpreter would be '{interpreter.TrimEnd('\r')}\\r': write its lines with LF alone"
                : $"not its interpreter {interpreter}";
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }
}
