using System.CommandLine;

namespace Discobot.Features.CommandLine.Shipping;

/// <summary><c>discobot completion SHELL</c>: what a shell loads to complete commands and options, and the hidden command that such a script asks.</summary>
internal static class CompletionCommand
{
    private const string Asked = "complete";

    // In each, a line up to the cursor goes to the executable, and what it knows nothing of is a file.
    private const string Bash = $$"""
        _discobot() {
            local IFS=$'\n'
            COMPREPLY=($(compgen -W "$(command discobot {{Asked}} "${COMP_LINE:0:COMP_POINT}" 2>/dev/null)" -- "${COMP_WORDS[COMP_CWORD]}"))
        }
        complete -o default -F _discobot discobot
        """;

    private const string Zsh = $$"""
        #compdef discobot
        _discobot() {
            local -a known=("${(@f)$(command discobot {{Asked}} "$LBUFFER" 2>/dev/null)}")
            known=(${known:#})
            (( $#known )) && compadd -- $known || _files
        }
        if [ "$funcstack[1]" = _discobot ]; then _discobot "$@"; else compdef _discobot discobot; fi
        """;

    private const string Fish = $"""
        complete -c discobot -a '(command discobot {Asked} (commandline -cp) 2>/dev/null)'
        """;

    public static Command Create()
    {
        var shell = new Argument<string>("SHELL") { Description = "bash, zsh or fish." };
        shell.AcceptOnlyFromAmong("bash", "zsh", "fish");
        var command = new Command("completion", "Print what a shell loads to complete commands and options: `source <(discobot completion bash)`.") { shell };
        command.SetAction(parsed => parsed.InvocationConfiguration.Output.WriteLine(parsed.GetValue(shell) switch
        {
            "bash" => Bash,
            "zsh" => Zsh,
            _ => Fish,
        }));
        return command;
    }

    /// <summary><c>discobot complete LINE</c>: what may stand where the line ends, one word a line.</summary>
    public static Command CreateAsked()
    {
        var line = new Argument<string>("LINE");
        var command = new Command(Asked, "Print what may stand at the end of a line.") { line };
        command.Hidden = true;
        command.SetAction(parsed =>
        {
            foreach (var word in Words(parsed.GetValue(line)!))
                parsed.InvocationConfiguration.Output.WriteLine(word);
        });
        return command;
    }

    /// <summary>Options are offered to whoever has begun one. Of the last word the library would offer what contains it, or take it for a whole one.</summary>
    public static IEnumerable<string> Words(string line)
    {
        var begun = line[(line.LastIndexOf(' ') + 1)..];
        var before = RootCommands.Create().Parse(line[..^begun.Length]);
        if (before.UnmatchedTokens.Count > 0)
            return [];
        return before.GetCompletions(line.Length - begun.Length).Select(c => c.Label)
            .Where(word => word.StartsWith(begun, StringComparison.Ordinal) && (begun.StartsWith('-') ? word.StartsWith("--", StringComparison.Ordinal) : char.IsLetter(word[0])));
    }
}
