using System.CommandLine;
using System.Text.RegularExpressions;

namespace Discobot.Features.CommandLine;

/// <summary>What <c>--help</c> prints: the library's text, each option with its long name first, as the pages name it; also of commands that the
/// list leaves out, of which the library would print nothing.</summary>
internal static partial class CommandHelp
{
    // As the library writes it.
    private const string OneBracketTooMany = "[[--] <additional arguments>...]]";

    public static int Show(ParseResult parsed, InvocationConfiguration console)
    {
        // The tree is made anew for each run.
        parsed.CommandResult.Command.Hidden = false;
        using var text = new StringWriter();
        var code = parsed.Invoke(new InvocationConfiguration { Output = text, Error = console.Error });
        console.Output.Write(ShortFirst().Replace(text.ToString(), "  ${long}, ${short}").Replace(OneBracketTooMany, OneBracketTooMany[..^1], StringComparison.Ordinal));
        return code;
    }

    // "  -?, -h, --help": what comes after stays in its column, as nothing becomes longer.
    [GeneratedRegex("^  (?<short>-[^-, ](?:, -[^-, ])*), (?<long>--[^ ,]+)", RegexOptions.Multiline | RegexOptions.CultureInvariant)]
    private static partial Regex ShortFirst();
}
