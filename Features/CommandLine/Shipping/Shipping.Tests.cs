using System.CommandLine;
using System.Diagnostics;
using Discobot.Tests.Fixtures;

namespace Discobot.Features.CommandLine.Shipping;

/// <summary>What goes into a release beside the executable.</summary>
public sealed class ShippingTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("discobot-test-").FullName;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Theory]
    [InlineData("discobot ca", "ca,cache")]
    [InlineData("discobot cache st", "stats")]
    [InlineData("discobot completion ", "bash,fish,zsh")]
    [InlineData("discobot policy test --con", "--config")]
    [InlineData("discobot nothing ", "")]
    public void Commands_options_and_words_that_would_do_are_offered(string line, string words) =>
        Assert.Equal(words, string.Join(',', CompletionCommand.Words(line).Order(StringComparer.Ordinal)));

    /// <summary>bash itself, with the shipped executable; what the executable knows nothing of is a file.</summary>
    [Fact]
    public async Task A_shell_completes_by_the_script_that_is_printed()
    {
        var script = $$"""
            PATH=$1:$PATH; source <(discobot completion bash)
            ask() { COMP_LINE=$1; COMP_POINT=${#1}; read -ra COMP_WORDS <<<"$1"; [ "${1: -1}" != ' ' ] || COMP_WORDS+=(''); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _discobot; echo "${COMPREPLY[@]}"; }
            ask 'discobot cache st'; ask 'discobot completion z'; ask 'discobot cache list --js'; ask 'discobot config check /'
            """;
        File.CreateSymbolicLink(Path.Combine(_directory, "discobot"), Executable.Path);
        Assert.Equal("stats\nzsh\n--json\n\n", await RunAsync("bash", "-c", script, "-", _directory));
    }

    /// <summary>As man shows them: no request that its formatter does not know, and every command and option that the help has.</summary>
    [Fact]
    public async Task The_manual_has_every_command_and_option()
    {
        var pages = ManPages.All().ToDictionary(p => p.Name, p => p.Text);
        foreach (var command in RootCommands.Create().Subcommands.Where(c => !c.Hidden))
        {
            var page = pages[$"discobot-{command.Name}"];
            foreach (var option in command.Subcommands.Where(c => !c.Hidden).Append(command).SelectMany(c => c.Options).Where(o => !o.Hidden))
                Assert.Contains(option.Name.Replace("-", "\\-", StringComparison.Ordinal), page, StringComparison.Ordinal);
        }

        Assert.Contains(pages["discobot"].Split('\n'), line => line == ".BR discobot\\-cache (1).");
        Assert.Equal(0, await RootCommands.RunAsync(RootCommands.Create(), ["man", _directory], new InvocationConfiguration()));
        Assert.Equal(pages.Keys.Select(name => name + ".1").Order(StringComparer.Ordinal), Directory.EnumerateFiles(_directory).Select(Path.GetFileName).Order(StringComparer.Ordinal));
        string[] known = [".TH", ".SH", ".TP", ".B", ".I", ".BR", ".RI"];
        Assert.All(pages.Values.SelectMany(page => page.Split('\n')), line => Assert.True(!line.StartsWith('.') || known.Contains(line.Split(' ')[0]), line));
    }

    private static async Task<string> RunAsync(params string[] command)
    {
        using var process = Process.Start(new ProcessStartInfo(command[0], command[1..]) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        var errors = process.StandardError.ReadToEndAsync();
        var output = await process.StandardOutput.ReadToEndAsync();
        await process.WaitForExitAsync();
        Assert.Equal("", await errors);
        return output;
    }
}
