using System.Text;
using Discobot.Features.Allowlist;
using Discobot.Features.Configuration;
using Discobot.Features.Headers;
using Discobot.Infrastructure.Config;

namespace Discobot.Fuzz;

/// <summary>From a YAML file to options: good ones print as a text that means the same, bad ones give errors fit for a person and a log.</summary>
public sealed class Configurations : FuzzTarget
{
    private static readonly SettingsSources Sources = new(null, new Dictionary<string, string>(), new Dictionary<string, string>(), "/data");

    private static readonly SecretFiles Files = new();

    protected override int Quick => 200;

    // Expressions that never backtrack are built as automata: half a megabyte each, and they are built six times here.
    protected override int AllocatedAnyway => 256 * 1024 * 1024;

    protected override string[] Words =>
    [
        "proxy:\n", "  port: ", "allowlist:\n  enabled: true\n", "  domains:\n", "    - ", "{host: \"*.a.b\", methods: [GET], paths: [\"/x/**\"]}", "ips: [", "10.0.0.0/8", "::1", "headers:\n",
        "  \"a.b\":\n", "    set: {", "X-A: ", "env:A", "file:/a", "conditions: [{header: A, equals: b}]", "cache: {", "max_size: ", "20GiB", "patterns: ['", "^/v2/", "(a)\\1", "tls: {passthrough: [",
        "socks: {users: {a: b}}", "1h30m", "0.5ms", "true", "off", "null", "~", "''", "\"", "'", "[", "]", "{", "}", ",", ": ", ":", "- ", "\n", "\n  ", "\t", "&a ", "*a", "!!str ", "!x ", "|\n", ">-\n",
        "\\x41", "\\uD800", "\\U0011FFFF", "%YAML 1.2\n", "---\n", "...\n", "#", "? ", "<<: ", "\0", "\ufeff", "é", "\u0085", "\u2028",
    ];

    protected override void Check(byte[] input)
    {
        var read = Sources.Load(ConfigDocument.Parse(input, "c.yaml"));
        CheckErrors(read, input);
        var json = Sources.Load(ConfigDocument.ParseJson(input, "c.json"));
        CheckErrors(json, input);
        if (!read.IsValid)
            return;
        var text = SettingsYaml.ToText(read.Value);
        var again = Sources.Load(ConfigDocument.Parse(text, "again.yaml"));
        Assert.True(again.IsValid, $"{again.ErrorText()}\n{text}");
        Assert.Equal(text, SettingsYaml.ToText(again.Value));
        Assert.Empty(RestartKeys.Changed(read.Value, Sources.Load(ConfigDocument.Parse(input, "c.yaml")).Value!));
        // Whatever is accepted can be put into force.
        _ = new AllowlistRules(read.Value.Allowlist);
        _ = new HeaderRules(read.Value.Headers, Files);
        if (json.IsValid)
            Assert.Equal(text, SettingsYaml.ToText(json.Value));
        // JSON is how settings travel between processes: laid over nothing, a text means what it meant.
        var overlaid = Sources.Load(ConfigDocument.Parse(ConfigDocument.Empty("none").OverlaidBy(ConfigDocument.Parse(input, "c.yaml")), "overlay"));
        Assert.True(overlaid.IsValid, overlaid.ErrorText());
        Assert.Equal(text, SettingsYaml.ToText(overlaid.Value));
    }

    private static void CheckErrors(ConfigResult<ProxySettings> read, byte[] input)
    {
        Assert.Equal(read.IsValid, read.Errors.IsEmpty);
        Assert.InRange(read.Errors.Length, 0, ConfigErrors.Kept + 1);
        // A last line may be one that is not there: what is missing is told behind the end.
        var lines = 2 + Encoding.UTF8.GetString(input).Count(c => c is '\n' or '\r' or '\u0085' or '\u2028' or '\u2029');
        foreach (var error in read.Errors)
        {
            Assert.InRange(error.Place.Line, 0, lines);
            Assert.InRange(error.ToString().Length, 1, 2000);
            Assert.DoesNotContain(error.ToString(), c => c is '\n' or '\r' or '\0' or '\x1b');
        }
    }
}
