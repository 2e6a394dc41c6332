using System.CommandLine;
using System.CommandLine.Parsing;
using Discobot.Infrastructure.Config;

namespace Discobot.Features.CommandLine;

/// <summary>What was mistyped, in one line with what was probably meant; the library would print the whole help.</summary>
internal static class UsageErrors
{
    /// <summary>The line; null where nothing is wrong. A word that is no command is wrong also where help is asked for.</summary>
    public static string? Find(ParseResult parsed)
    {
        var command = parsed.CommandResult.Command;
        var name = NameOf(parsed.CommandResult);
        var more = $"; `{name} --help` tells more";
        var stray = command.TreatUnmatchedTokensAsErrors && parsed.UnmatchedTokens is { Count: > 0 } unmatched ? unmatched[0] : null;
        if (stray is not null)
            return $"{name}: {Unmatched(command, stray)}{more}";
        if (parsed.Errors.Count == 0)
            return Empty(parsed) is { } empty ? $"{name}: {empty} is empty; is a variable of the shell unset?{more}" : null;
        if (command.Subcommands.Any(c => !c.Hidden) && command.Action is null)
            return $"{name}: a command is needed: {Names(command)}{more}";
        var reason = command.Arguments.FirstOrDefault(a => a.Arity.MinimumNumberOfValues > 0 && parsed.GetResult(a) is not { Tokens.Count: > 0 }) is { } missing
            ? $"{missing.Name} is needed"
            : OneLine(parsed.Errors[0].Message);
        return $"{name}: {reason}{more}";
    }

    // What a command hands on to another program may be empty.
    private static string? Empty(ParseResult parsed) => parsed.CommandResult.Children.Select(child => child switch
    {
        OptionResult { Implicit: false } option when option.Tokens.Any(t => t.Value.Length == 0) => option.Option.Name,
        ArgumentResult { Argument.Arity.MaximumNumberOfValues: 1 } argument when argument.Tokens.Any(t => t.Value.Length == 0) => argument.Argument.Name,
        _ => null,
    }).FirstOrDefault(name => name is not null);

    /// <summary>The command with all before it, as it was typed: <c>discobot cache stats</c>.</summary>
    public static string NameOf(CommandResult result) =>
        result.Parent is CommandResult parent ? $"{NameOf(parent)} {result.Command.Name}" : result.Command.Name;

    private static string Unmatched(Command command, string word)
    {
        var shown = ConfigPath.Quote(word);
        if (word.StartsWith('-'))
        {
            var options = command.Options.Where(o => !o.Hidden).SelectMany(o => o.Aliases.Append(o.Name)).Where(o => o.StartsWith("--", StringComparison.Ordinal));
            return $"there is no option {shown}{NearestWord.Suggestion(word.Split('=')[0], options)}";
        }

        if (command.Subcommands.Count == 0)
        {
            return $"{shown} is one argument too many"
                + (File.Exists(word) && command.Options.Any(o => o.Name == "--config") ? $"; a configuration file is named with --config, as in --config {word}" : "");
        }

        var meant = Below(command, word) is { Length: > 0 } below ? $"; did you mean {below}?"
            : NearestWord.Suggestion(word, command.Subcommands.Where(c => !c.Hidden).Select(c => c.Name));
        return $"there is no command {shown}{meant}; there are {Names(command)}";
    }

    // Commands of this name that stand behind another word: "stats" is one of the cache.
    private static string Below(Command command, string name) => string.Join(" or ", command.Subcommands.Where(c => !c.Hidden).SelectMany(child =>
        child.Subcommands.Where(c => c.Name == name).Select(c => $"`{child.Name} {c.Name}`")));

    // The library puts each of the words that would do on a line of its own.
    private static string OneLine(string message)
    {
        var lines = message.Split(['\n', '\r', '\t'], StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        return (lines[0] + " " + string.Join(", ", lines[1..])).TrimEnd(' ', '.');
    }

    private static string Names(Command command) => string.Join(", ", command.Subcommands.Where(c => !c.Hidden).Select(c => c.Name));
}
