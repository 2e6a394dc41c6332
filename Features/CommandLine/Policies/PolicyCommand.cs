using System.CommandLine;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using Discobot.Features.Configuration;

namespace Discobot.Features.CommandLine.Policies;

/// <summary><c>discobot policy test|diff</c>: what configurations let out: tried, compared.</summary>
internal static class PolicyCommand
{
    public static Command Create() => new("policy", "What configurations let out: try it, compare it.") { PolicyTestCommand.Create(), PolicyDiffCommand.Create() };

    /// <summary>What a file means by itself: what this shell's environment would lay over it is no property of the file.</summary>
    /// <exception cref="ConfigurationException">It has mistakes.</exception>
    public static ProxySettings Load(string file)
    {
        var none = new Dictionary<string, string>();
        var loaded = new SettingsSources(Path.GetFullPath(file), none, none, DataDirectory.System).Load();
        return loaded.Value ?? throw new ConfigurationException(loaded.ErrorText());
    }
}

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull, WriteIndented = true)]
[JsonSerializable(typeof(PolicyTestResult))]
[JsonSerializable(typeof(PolicyDiff))]
[JsonSerializable(typeof(System.Text.Json.JsonElement))]
internal sealed partial class PolicyJson : JsonSerializerContext
{
    /// <summary>For people in terminals: quotes as \", not as \u0022.</summary>
    public static PolicyJson Readable =>
        field ??= new(new JsonSerializerOptions(Default.Options) { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping });

    /// <summary>The same in one line.</summary>
    public static PolicyJson Plain =>
        field ??= new(new JsonSerializerOptions(Default.Options) { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping, WriteIndented = false });
}
