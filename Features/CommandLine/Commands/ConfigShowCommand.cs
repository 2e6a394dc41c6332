using System.CommandLine;
using System.Text.Json;
using Discobot.Features.Configuration;
using Discobot.Features.Init;

namespace Discobot.Features.CommandLine.Commands;

/// <summary><c>discobot config show</c>: what the running proxy has in force; where none runs, or a file is named, what a start would take.</summary>
internal static class ConfigShowCommand
{
    public static Command Create()
    {
        var api = new RunningApi(withConfig: false);
        var file = new ConfigFileOption("Show what this file (YAML) means instead, with the environment's variables over it.");
        var json = new Option<bool>("--json") { Description = "Print JSON." };
        var command = new Command("show", "Show the settings in force in the running proxy; where none runs, those that a start would take. "
            + "Secrets are masked.") { json };
        file.AddTo(command);
        api.AddTo(command);
        command.SetAction((parsed, cancellation) => RunningApi.RunAsync(parsed, async () =>
        {
            var named = file.Of(parsed);
            if (named is null && await AskAsync(api, parsed, cancellation) is { } running)
            {
                var missed = api.IsContainers(parsed) ? PolicyEdits.Missed(new ContainerPaths(), ChosenProxy.Find().State) : null;
                Print(running, $"# in force at {api.Address(parsed)}{(missed is null ? "" : $"\n# {missed}: restart the container for it to count")}", parsed, json);
                return ExitCode.Fine;
            }

            return ShowFile(named, api, parsed, json);
        }));
        return command;
    }

    /// <summary>What the running proxy has in force, as JSON; null where none runs.</summary>
    public static async Task<string?> AskAsync(RunningApi api, ParseResult parsed, CancellationToken cancellation)
    {
        try
        {
            var answer = await api.AskAsync(parsed, HttpMethod.Get, "/api/config", RunningApi.AnyJson, cancellation);
            return answer.GetRawText();
        }
        // Whoever names an address wants that proxy or none.
        catch (HttpRequestException) when (!api.IsNamed(parsed))
        {
            return null;
        }
    }

    private static int ShowFile(string? named, RunningApi api, ParseResult parsed, Option<bool> json)
    {
        var sources = named is null ? ChosenProxy.Find().Sources : SettingsSources.OfProcess(named);
        var result = sources.Load();
        if (!result.IsValid)
            return ConfigCommand.Refuse(result, parsed.InvocationConfiguration);
        var from = $"# from {sources.File ?? "the built-in default"}";
        if (named is null)
            from += $"; no proxy answers at {api.Address(parsed)}";
        Print(SettingsJson.ToText(result.Value), from, parsed, json);
        return ExitCode.Fine;
    }

    private static void Print(string settings, string from, ParseResult parsed, Option<bool> json)
    {
        var output = parsed.InvocationConfiguration.Output;
        if (parsed.GetValue(json))
        {
            output.WriteLine(settings);
            return;
        }

        using var document = JsonDocument.Parse(settings);
        output.WriteLine(from);
        output.WriteLine(SettingsYaml.ToText(document.RootElement).TrimEnd());
    }
}
