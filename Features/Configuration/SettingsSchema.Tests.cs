using System.CommandLine;
using System.Globalization;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Discobot.Features.CommandLine.Commands;
using Discobot.Infrastructure.Config;
using Discobot.Tests.Fixtures;
using YamlDotNet.Core;
using YamlDotNet.RepresentationModel;

namespace Discobot.Features.Configuration;

public sealed partial class SettingsSchemaTests
{
    private static readonly JsonObject Schema = (JsonObject)JsonNode.Parse(SettingsSchema.Text())!;

    [Fact]
    public void The_page_of_the_configuration_has_every_key_that_is_read_and_no_other()
    {
        var read = Leaves(SettingsSchema.Shape(), "").Order(StringComparer.Ordinal).ToList();
        Assert.True(read.Count > 70);
        Assert.Equal(read, SettingsSchema.Meanings().Select(m => m.Key).Order(StringComparer.Ordinal));
    }

    [Fact]
    public void Every_example_of_the_pages_the_images_and_the_examples_validates()
    {
        var texts = Pages().SelectMany(page => Fences().Matches(File.ReadAllText(page)).Select(m => (page, Text: m.Groups[1].Value)))
            .Concat(Files().Select(file => (file, Text: File.ReadAllText(file))))
            .Append(("every key", ProxySettingsTests.EveryKey)).Append(("default.yaml", DefaultConfiguration.Text()))
            .Append(("config show", SettingsYaml.ToText(ProxySettings.Default("/data"))));
        var checkedTexts = 0;
        foreach (var (source, text) in texts)
        {
            foreach (var document in Documents(text).Where(IsConfiguration))
            {
                checkedTexts++;
                Assert.True(Problem(Schema, document) is not { } problem, $"{source}: {Problem(Schema, document)}\n{text}");
            }
        }

        Assert.InRange(checkedTexts, 12, 1000);
    }

    [Theory]
    [InlineData("alowlist: {}")]
    [InlineData("allowlist: {enable: true}")]
    [InlineData("allowlist: {enabled: perhaps}")]
    [InlineData("allowlist: {enabled: [true]}")]
    [InlineData("allowlist: {mode: learning}")]
    [InlineData("allowlist: [a.example]")]
    [InlineData("allowlist: {domains: {host: a.example}}")]
    [InlineData("allowlist: {domains: [{hots: a.example}]}")]
    [InlineData("allowlist: {domains: [{methods: [GET]}]}")]
    [InlineData("allowlist: {domains: [{host: a.example, paths: {a: b}}]}")]
    [InlineData("allowlist: {ask_timeout: soon}")]
    [InlineData("allowlist: {ask_timeout: 1h30}")]
    [InlineData("proxy: {port: 99999}")]
    [InlineData("proxy: {port: http}")]
    [InlineData("proxy: {api_port: 1.5}")]
    [InlineData("cache: {max_size: lots}")]
    [InlineData("cache: {rules: [{mode: digest}]}")]
    [InlineData("headers: {a.example: {sett: {X: y}}}")]
    [InlineData("headers: {a.example: {set: [X]}}")]
    [InlineData("headers: {a.example: {set: {X: y}, conditions: [{header: X}]}}")]
    [InlineData("socks: {users: [me]}")]
    [InlineData("docker: {guard: sometimes}")]
    public void What_the_parser_refuses_does_not_validate(string text)
    {
        Assert.False(new SettingsSources(null, new Dictionary<string, string>(), new Dictionary<string, string>(), "/data").Load(ConfigDocument.Parse(text, "test.yaml")).IsValid);
        Assert.NotNull(Problem(Schema, Assert.Single(Documents(text))));
    }

    [Theory]
    [InlineData("allowlist: {domains: a.example, enabled: yes}")]
    [InlineData("allowlist: {domains: }")]
    [InlineData("proxy: {read_timeout: 30, drain_limit: 4.5s, upstream_timeout: 1h30m}")]
    [InlineData("cache: {max_size: 50 GiB, fill_after_abort: 0}")]
    [InlineData("headers: {a.example: {set: {X: 1}}}")]
    [InlineData("logging: {include_body: true}")]
    public void What_the_parser_takes_validates(string text)
    {
        Assert.True(new SettingsSources(null, new Dictionary<string, string>(), new Dictionary<string, string>(), "/data").Load(ConfigDocument.Parse(text, "test.yaml")).IsValid);
        Assert.Null(Problem(Schema, Assert.Single(Documents(text))));
    }

    [Fact]
    public async Task The_command_prints_it_with_meanings_and_defaults()
    {
        using var output = new StringWriter();
        Assert.Equal(0, await RootCommands.RunAsync(RootCommands.Create(), ["config", "schema"], new InvocationConfiguration { Output = output }));
        var told = JsonNode.Parse(output.ToString())!;
        Assert.Equal("https://json-schema.org/draft/2020-12/schema", told["$schema"]!.GetValue<string>());
        var port = told["properties"]!["proxy"]!["properties"]!["port"]!;
        Assert.Equal(("HTTP, HTTPS and SOCKS5 on one port. Needs a restart.", 17080), (port["description"]!.GetValue<string>(), port["default"]!.GetValue<int>()));
        Assert.EndsWith("Applies live.", told["properties"]!["headers"]!["additionalProperties"]!["properties"]!["set"]!["description"]!.GetValue<string>(), StringComparison.Ordinal);
    }

    // What stands in lists is told with the list.
    private static IEnumerable<string> Leaves(ConfigShape shape, string path)
    {
        var below = shape.Keys.Select(k => (Name: k.Key, Shape: k.Value)).Concat(shape.Entries is { Keys.Count: > 0 } entries ? [("*", entries)] : []).ToList();
        return below.Count == 0 ? shape.IsIgnored ? [] : [path] : below.SelectMany(b => Leaves(b.Shape, path.Length == 0 ? b.Name : $"{path}.{b.Name}"));
    }

    private static IEnumerable<string> Pages() => [Path.Combine(Checkout.Top(), "README.md"), .. Directory.GetFiles(Path.Combine(Checkout.Top(), "docs"), "*.md")];

    private static IEnumerable<string> Files() => ((string[])["examples", "images"]).SelectMany(folder =>
        Directory.EnumerateFiles(Path.Combine(Checkout.Top(), folder), "*.yaml", SearchOption.AllDirectories));

    // A ConfigMap holds files as texts.
    private static IEnumerable<JsonNode?> Documents(string text)
    {
        var stream = new YamlStream();
        try
        {
            stream.Load(new StringReader(text));
        }
        catch (YamlException)
        {
            // A page may leave something out ("…").
            return [];
        }

        return stream.Documents.Select(d => ToJson(d.RootNode)).ToList() is var all
            ? all.Concat(all.Select(d => (d as JsonObject)?["data"] as JsonObject).OfType<JsonObject>().SelectMany(d => d).Where(d => d.Value is JsonValue)
                .SelectMany(d => Documents(d.Value!.ToString()))) : [];
    }

    private static bool IsConfiguration(JsonNode? document) => document is JsonObject sections && sections.Count > 0 && sections.All(s => SettingsSchema.Shape().Keys.ContainsKey(s.Key));

    // YAML 1.2.2, 10.3: the core schema.
    private static JsonNode? ToJson(YamlNode node) => node switch
    {
        YamlMappingNode mapping => new JsonObject(mapping.Children.Select(e => KeyValuePair.Create(e.Key.ToString(), ToJson(e.Value)))),
        YamlSequenceNode list => new JsonArray([.. list.Select(ToJson)]),
        YamlScalarNode { Style: ScalarStyle.Plain, Value: null or "" or "~" or "null" } => null,
        YamlScalarNode { Style: ScalarStyle.Plain, Value: "true" or "false" } word => JsonValue.Create(word.Value == "true"),
        YamlScalarNode { Style: ScalarStyle.Plain } number when double.TryParse(number.Value, NumberStyles.Float, CultureInfo.InvariantCulture, out var value) => JsonValue.Create(value),
        _ => JsonValue.Create(((YamlScalarNode)node).Value),
    };

    /// <summary>Validates by the keywords that the schema uses; another one is an error of this test.</summary>
    private static string? Problem(JsonObject schema, JsonNode? value) => schema.Select(k => Problem(k.Key, k.Value!, schema, value)).FirstOrDefault(p => p is not null);

    private static string? Problem(string keyword, JsonNode rule, JsonObject schema, JsonNode? value) => keyword switch
    {
        "$schema" or "title" or "description" or "default" or "deprecated" => null,
        "type" => Says(((JsonArray)rule).Any(t => IsOf(t!.GetValue<string>(), value)), keyword, rule, value),
        "enum" => Says(((JsonArray)rule).Any(e => JsonNode.DeepEquals(e, value)), keyword, rule, value),
        "pattern" => Says(value is not JsonValue text || text.GetValueKind() != System.Text.Json.JsonValueKind.String || Regex.IsMatch(text.GetValue<string>(), rule.GetValue<string>()), keyword, rule, value),
        "minLength" => Says(value is not JsonValue text || text.GetValueKind() != System.Text.Json.JsonValueKind.String || text.GetValue<string>().Length >= rule.GetValue<int>(), keyword, rule, value),
        "minimum" => Says(!IsOf("number", value) || value!.GetValue<double>() >= rule.GetValue<long>(), keyword, rule, value),
        "maximum" => Says(!IsOf("number", value) || value!.GetValue<double>() <= rule.GetValue<long>(), keyword, rule, value),
        "required" => Says(value is not JsonObject mapping || ((JsonArray)rule).All(key => mapping.ContainsKey(key!.GetValue<string>())), keyword, rule, value),
        "items" => value is JsonArray list ? list.Select(item => Problem((JsonObject)rule, item)).FirstOrDefault(p => p is not null) : null,
        "properties" => value is JsonObject mapping ? mapping.Where(e => rule[e.Key] is not null).Select(e => Problem((JsonObject)rule[e.Key]!, e.Value)).FirstOrDefault(p => p is not null) : null,
        "additionalProperties" => value is JsonObject mapping
            ? mapping.Where(e => schema["properties"]?[e.Key] is null).Select(e => rule is JsonObject other ? Problem(other, e.Value) : $"{e.Key} is unknown").FirstOrDefault(p => p is not null) : null,
        "anyOf" => ((JsonArray)rule).Select(choice => Problem((JsonObject)choice!, value)).ToList() is var problems && problems.Contains(null) ? null : string.Join(" and ", problems),
        _ => throw new NotSupportedException(keyword),
    };

    private static string? Says(bool holds, string keyword, JsonNode rule, JsonNode? value) => holds ? null : $"{value?.ToJsonString() ?? "null"} is not of {keyword} {rule.ToJsonString()}";

    private static bool IsOf(string type, JsonNode? value) => type switch
    {
        "null" => value is null,
        "object" => value is JsonObject,
        "array" => value is JsonArray,
        "string" => value?.GetValueKind() == System.Text.Json.JsonValueKind.String,
        "boolean" => value?.GetValueKind() is System.Text.Json.JsonValueKind.True or System.Text.Json.JsonValueKind.False,
        "number" => value?.GetValueKind() == System.Text.Json.JsonValueKind.Number,
        "integer" => value?.GetValueKind() == System.Text.Json.JsonValueKind.Number && double.IsInteger(value.GetValue<double>()),
        _ => false,
    };

    [GeneratedRegex(@"^```yaml\n(.*?)^```", RegexOptions.Multiline | RegexOptions.Singleline)]
    private static partial Regex Fences();
}
