using System.CommandLine;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using Discobot.Features.Allowlist;
using Discobot.Features.Api;
using Discobot.Features.Configuration;
using Discobot.Infrastructure.Config;

namespace Discobot.Features.CommandLine.Commands;

/// <summary><c>discobot config check FILE</c>, <c>discobot config show</c> and <c>discobot config schema</c>.</summary>
internal static class ConfigCommand
{
    public static Command Create() => new("config", "Check a configuration file, show what is in force, or help editors with it.") { Check(), ConfigShowCommand.Create(), Schema() };

    private static Command Schema()
    {
        var command = new Command("schema", "Print the JSON Schema (2020-12) of a configuration file. Editors use it by the file's first line: "
            + "# yaml-language-server: $schema=FILE");
        command.SetAction(parsed => parsed.InvocationConfiguration.Output.WriteLine(SettingsSchema.Text()));
        return command;
    }

    private static Command Check()
    {
        var file = new Argument<string>("FILE") { Description = "The YAML file to check; - is the standard input." };
        var json = new Option<bool>("--json") { Description = "Print JSON." };
        var textOnly = new Option<bool>("--text-only") { Description = "Leave out what is so on this machine alone: the files and variables that it names." };
        var command = new Command("check", "Tell every mistake of a file, and which files and variables that it names cannot be used here. "
            + "Exit code 0: none, 2: some.") { file, json, textOnly };
        command.SetAction(parsed =>
        {
            var path = parsed.GetValue(file)!;
            // The file alone counts: what this shell's environment would lay over it is no property of the file.
            var none = new Dictionary<string, string>();
            var result = new SettingsSources(path, none, none, DataDirectory.System).Load(Read(path), parsed.GetValue(textOnly) ? FileChecks.None : FileChecks.All);
            return Answer(path, result, parsed.GetValue(json), parsed.InvocationConfiguration);
        });
        return command;
    }

    private static ConfigDocument Read(string path)
    {
        if (path != "-")
            return ConfigDocument.Load(path);
        using var input = Console.OpenStandardInput();
        return ConfigDocument.Load(input, "stdin");
    }

    private static int Answer(string path, ConfigResult<ProxySettings> result, bool json, InvocationConfiguration console)
    {
        if (json)
        {
            console.Output.WriteLine(JsonSerializer.Serialize(
                new ConfigVerdict(path, result.IsValid, [.. result.Errors.Select(ConfigMistake.Of)], Note(result)), ConfigCheckJson.Readable.ConfigVerdict));
        }
        else if (result.IsValid)
        {
            console.Output.WriteLine($"{(path == "-" ? "stdin" : path)}: ok{(Note(result) is { } note ? $", but {note}" : "")}");
        }

        if (result.IsValid)
            return ExitCode.Fine;
        return json ? ExitCode.Usage : Refuse(result, console);
    }

    private static string? Note(ConfigResult<ProxySettings> result) => result.Value?.Allowlist.IsIdle == true ? AllowlistOptions.Idle : null;

    public static int Refuse(ConfigResult<ProxySettings> result, InvocationConfiguration console)
    {
        foreach (var error in result.Errors)
            console.Error.WriteLine(error);
        console.Error.WriteLine(result.Errors.Length == 1 ? "1 mistake" : $"{result.Errors.Length} mistakes");
        return ExitCode.Usage;
    }
}

/// <param name="Mistakes">Empty when it is ok.</param>
/// <param name="Note">What is no mistake and probably not meant.</param>
internal sealed record ConfigVerdict(string File, bool Ok, IReadOnlyList<ConfigMistake> Mistakes, string? Note);

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    WriteIndented = true)]
[JsonSerializable(typeof(ConfigVerdict))]
internal sealed partial class ConfigCheckJson : JsonSerializerContext
{
    /// <summary>For people in terminals: quotes as \", not as \u0022.</summary>
    public static ConfigCheckJson Readable =>
        field ??= new(new JsonSerializerOptions(Default.Options) { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping });
}
