using System.CommandLine;
using System.Text;

namespace Discobot.Features.CommandLine.Shipping;

/// <summary>The manual's pages (man(7)), made of the same words as <c>--help</c>: one for the executable and one for each of its commands.</summary>
internal static class ManPages
{
    /// <summary><c>discobot man DIRECTORY</c>, hidden: for whoever makes a package of the executable.</summary>
    public static Command Create()
    {
        var directory = new Argument<string>("DIRECTORY") { Description = "Where they are written; it is made." };
        var command = new Command("man", "Write the manual's pages.") { directory };
        command.Hidden = true;
        command.SetAction(parsed =>
        {
            var into = Directory.CreateDirectory(parsed.GetValue(directory)!).FullName;
            foreach (var (name, text) in All())
                File.WriteAllText(Path.Combine(into, $"{name}.1"), text);
        });
        return command;
    }

    /// <summary>Each page by its name, as in <c>man discobot-cache</c>.</summary>
    public static IEnumerable<(string Name, string Text)> All()
    {
        var root = RootCommands.Create();
        return [("discobot", Page(root, [])), .. Shown(root).Select(child => ($"discobot-{child.Name}", Page(child, [root.Name])))];
    }

    private static IEnumerable<Command> Shown(Command command) => command.Subcommands.Where(c => !c.Hidden);

    private static string Page(Command command, IReadOnlyList<string> before)
    {
        var name = string.Join('-', before.Append(command.Name));
        var page = new StringBuilder();
        page.Append($".TH {Escape(name.ToUpperInvariant())} 1\n.SH NAME\n{Escape(name)} \\- {Escape(Text(command.Description))}\n.SH SYNOPSIS\n");
        Synopsis(page, command, before);
        if (command.Options.Any(o => !o.Hidden) || command.Arguments.Any(a => !a.Hidden))
            page.Append(".SH OPTIONS\n");
        Parameters(page, command);
        if (Shown(command).Any())
            page.Append(".SH COMMANDS\n");
        foreach (var child in Shown(command))
        {
            page.Append($".TP\n.B {Escape(child.Name)}\n{Escape(Text(child.Description))}\n");
            if (before.Count == 0)
                page.Append($"See\n.BR discobot\\-{Escape(child.Name)} (1).\n");
        }

        foreach (var child in before.Count > 0 ? Shown(command) : [])
        {
            page.Append($".SH {Escape(string.Join(' ', before.Append(command.Name).Append(child.Name)).ToUpperInvariant())}\n");
            Synopsis(page, child, [.. before, command.Name]);
            Parameters(page, child);
        }

        return page.Append(before.Count == 0 ? "" : ".SH SEE ALSO\n.BR discobot (1)\n").ToString();
    }

    private static void Synopsis(StringBuilder page, Command command, IReadOnlyList<string> before)
    {
        page.Append($".B {Escape(string.Join(' ', before.Append(command.Name)))}\n");
        if (Shown(command).Any())
            page.Append(".I COMMAND\n");
        foreach (var argument in command.Arguments.Where(a => !a.Hidden))
            page.Append($".I {Escape(argument.Arity.MinimumNumberOfValues > 0 ? argument.Name : $"[{argument.Name}]")}\n");
        if (command.Options.Any(o => !o.Hidden))
            page.Append(".RI [ options ]\n");
    }

    private static void Parameters(StringBuilder page, Command command)
    {
        foreach (var argument in command.Arguments.Where(a => !a.Hidden && a.Description is not null))
            page.Append($".TP\n.I {Escape(argument.Name)}\n{Escape(Text(argument.Description))}\n");
        foreach (var option in command.Options.Where(o => !o.Hidden))
        {
            var names = string.Join(", ", option.Aliases.Append(option.Name).Where(n => n.StartsWith('-')).OrderByDescending(n => n.Length));
            var value = option.ValueType == typeof(bool) || option.HelpName is null ? "" : $" {option.HelpName}";
            page.Append($".TP\n.B {Escape(names + value)}\n{Escape(Text(option.Description))}\n");
        }
    }

    private static string Text(string? description) => string.Join(' ', (description ?? "").Split((char[])['\n', '\r'], StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries));

    // A line that begins with a dot or an apostrophe is a request; a minus that is to be copied is written so (groff_char(7)).
    private static string Escape(string text)
    {
        var escaped = text.Replace("\\", "\\e", StringComparison.Ordinal).Replace("-", "\\-", StringComparison.Ordinal);
        return escaped.StartsWith('.') || escaped.StartsWith('\'') ? "\\&" + escaped : escaped;
    }
}
