using System.Buffers;
using System.Text;
using System.Text.RegularExpressions;

namespace Discobot.Infrastructure.Config;

internal enum SecretSource
{
    Literal,
    Environment,
    File,
}

/// <summary>A value that must never be shown: written out, or as <c>env:NAME</c> or <c>file:/path</c>. Its text form is masked.</summary>
/// <param name="Source">Where the value is.</param>
/// <param name="Text">The value itself, the variable's name, or the absolute path.</param>
internal sealed partial record SecretText(SecretSource Source, string Text)
{
    /// <summary>Larger files are no secrets: 64 KiB.</summary>
    private const int MaxFileBytes = 64 * 1024;

    private static readonly SearchValues<char> NameCharacters = SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_");

    /// <summary>What a person may see.</summary>
    public override string ToString() => Source switch
    {
        SecretSource.Environment => $"env:{Text}",
        SecretSource.File => $"file:{Text}",
        _ => "***",
    };

    /// <summary>The value as it is now, a file's last line break left out.</summary>
    /// <param name="value">The value, or why there is none, without ever repeating a part of it.</param>
    public bool TryResolve(out string value)
    {
        switch (Source)
        {
            case SecretSource.Environment:
                var variable = Environment.GetEnvironmentVariable(Text);
                value = variable ?? $"the environment variable {Text} is not set";
                return variable is not null;
            case SecretSource.File:
                return TryReadFile(out value);
            default:
                value = Text;
                return true;
        }
    }

    /// <summary>Why a header cannot have this as its value; null: it can. Never repeats a part of it.</summary>
    public string? HeaderProblem(string value) =>
        value.Length == 0 ? $"{this} is empty"
        // RFC 9110, 5.5: what ends a line would begin another header.
        : value.Any(c => c is < ' ' and not '\t' or '\x7f' or > '\u00ff') ? $"{this} holds line breaks or characters that no header may have"
        : null;

    /// <summary>The reference that a value is: <c>env:NAME</c> or <c>file:/path</c>. Null where it is written out, or no reference that can be used.</summary>
    public static SecretText? Reference(string? written) =>
        written is ['e', 'n', 'v', ':', _, ..] && !char.IsAsciiDigit(written[4]) && written.AsSpan(4).IndexOfAnyExcept(NameCharacters) < 0 ? new SecretText(SecretSource.Environment, written[4..])
        : written is ['f', 'i', 'l', 'e', ':', '/', ..] && !written.Any(char.IsControl) ? new SecretText(SecretSource.File, written[5..])
        : null;

    /// <summary>What in a literal value looks like a reference that somebody expects to be replaced, as in <c>Bearer env:TOKEN</c>; null: nothing.</summary>
    public static string? ReferenceInside(string literal) =>
        ReferencePattern().Match(literal) is { Success: true } found ? found.Groups.Values.Skip(1).First(group => group.Success).Value : null;

    // What follows the colon is shown in no error: it may be half of a secret.
    [GeneratedRegex(
        @"(?:^|[\s:=])((?i:env|file):)(?=\s*[A-Za-z_/])|(?:^|[\s:=])(\$\{)[A-Za-z_]\w*\}|(?:^|\s)(\$)[A-Z][A-Z0-9_]*$|^(\$\()|(\{\{)\s*[\w.]+\s*\}\}",
        RegexOptions.CultureInvariant)]
    private static partial Regex ReferencePattern();

    private bool TryReadFile(out string value)
    {
        try
        {
            using var file = new FileStream(Text, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete, bufferSize: 0);
            var buffer = new byte[MaxFileBytes + 1];
            var length = file.ReadAtLeast(buffer, buffer.Length, throwOnEndOfStream: false);
            value = length > MaxFileBytes ? $"{Text} is larger than 64 KiB" : Encoding.UTF8.GetString(buffer, 0, length).TrimEnd('\r', '\n');
            if (value.Length == 0)
            {
                // A file that is just being written: its value comes in a moment, and an empty one would be sent meanwhile.
                value = $"{Text} is empty";
                return false;
            }

            return length <= MaxFileBytes;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or NotSupportedException)
        {
            value = e is UnauthorizedAccessException ? $"{Text} may not be read by this user" : $"{Text} cannot be read";
            return false;
        }
    }
}
