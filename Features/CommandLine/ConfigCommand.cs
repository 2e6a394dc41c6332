using System.CommandLine;
using Discobot.Features.Configuration;
using Discobot.Infrastructure.Config;

namespace Discobot.Features.CommandLine;

/// <summary><c>discobot config check FILE</c> and <c>discobot config show</c>.</summary>
internal static class ConfigCommand
{
    public static Command Create() => new("config", "Check a configuration file, or show what is in force.") { Check(), Show() };

    private static Command Check()
    {
        var file = new Argument<string>("FILE") { Description = "The YAML file to check." };
        var command = new Command("check", "Tell every mistake of a file. Exit code 0: none, 2: some.") { file };
        command.SetAction(parsed =>
        {
            var console = parsed.InvocationConfiguration;
            var path = parsed.GetValue(file)!;
            // The file alone counts: what this shell's environment would lay over it is no property of the file.
            var none = new Dictionary<string, string>();
            var result = new SettingsSources(path, none, none, DataDirectory.System).Load();
            if (!result.IsValid)
                return Refuse(result, console);
            console.Output.WriteLine($"{path}: ok");
            return ExitCode.Fine;
        });
        return command;
    }

    private static Command Show()
    {
        var file = new Option<string?>("--config", "-config", "-c")
        {
            Description = "Configuration file (YAML). Without it: $CONFIG_FILE, else the built-in default.",
            HelpName = "FILE",
        };
        var json = new Option<bool>("--json") { Description = "Print JSON." };
        var command = new Command("show", "Show the settings in force: environment over file over default. Secrets are masked.") { file, json };
        command.SetAction(parsed =>
        {
            var console = parsed.InvocationConfiguration;
            var sources = SettingsSources.OfProcess(parsed.GetValue(file));
            var result = sources.Load();
            if (!result.IsValid)
                return Refuse(result, console);
            if (!parsed.GetValue(json))
                console.Output.WriteLine($"# from {sources.File ?? "the built-in default"}");
            console.Output.WriteLine(parsed.GetValue(json) ? SettingsJson.ToText(result.Value) : SettingsYaml.ToText(result.Value).TrimEnd());
            return ExitCode.Fine;
        });
        return command;
    }

    private static int Refuse(ConfigResult<ProxySettings> result, InvocationConfiguration console)
    {
        foreach (var error in result.Errors)
            console.Error.WriteLine(error);
        console.Error.WriteLine(result.Errors.Length == 1 ? "1 mistake" : $"{result.Errors.Length} mistakes");
        return ExitCode.Usage;
    }
}
