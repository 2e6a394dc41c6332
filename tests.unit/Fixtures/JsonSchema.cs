using System.Text.Json;
using System.Text.RegularExpressions;

namespace Discobot.Tests.Fixtures;

/// <summary>What of JSON Schema our schemas of other people's formats use. A word that it does not know is no schema to it.</summary>
internal sealed class JsonSchema(string text)
{
    private static readonly HashSet<string> Known =
        ["$comment", "$defs", "$ref", "type", "enum", "required", "properties", "patternProperties", "additionalProperties", "items", "pattern", "minimum"];

    private readonly JsonElement _root = JsonElement.Parse(text);

    /// <summary>Null where the document is as the schema wants it.</summary>
    public string? Problem(JsonElement document) => Problem(_root, document, "$");

    private string? Problem(JsonElement schema, JsonElement value, string at)
    {
        if (schema.ValueKind == JsonValueKind.True)
            return null;
        if (schema.EnumerateObject().Select(word => word.Name).FirstOrDefault(word => !Known.Contains(word)) is { } unknown)
            throw new FormatException(unknown);
        if (schema.TryGetProperty("$ref", out var reference))
            return Problem(_root.GetProperty("$defs").GetProperty(reference.GetString()!["#/$defs/".Length..]), value, at);
        if (schema.TryGetProperty("type", out var type) && !Is(type.GetString()!, value))
            return $"{at} is no {type}";
        if (schema.TryGetProperty("enum", out var words) && !words.EnumerateArray().Any(word => JsonElement.DeepEquals(word, value)))
            return $"{at} is not one of {words}";
        if (schema.TryGetProperty("minimum", out var least) && value.GetDouble() < least.GetDouble())
            return $"{at} is less than {least}";
        if (schema.TryGetProperty("pattern", out var pattern) && !Regex.IsMatch(value.GetString()!, pattern.GetString()!))
            return $"{at} does not match {pattern}";
        return value.ValueKind switch
        {
            JsonValueKind.Object => ProblemOfObject(schema, value, at),
            JsonValueKind.Array when schema.TryGetProperty("items", out var items) =>
                value.EnumerateArray().Select((item, i) => Problem(items, item, $"{at}[{i}]")).FirstOrDefault(problem => problem is not null),
            _ => null,
        };
    }

    private string? ProblemOfObject(JsonElement schema, JsonElement value, string at)
    {
        if (schema.TryGetProperty("required", out var required)
            && required.EnumerateArray().Select(name => name.GetString()!).FirstOrDefault(name => !value.TryGetProperty(name, out _)) is { } missing)
            return $"{at} has no {missing}";
        var others = schema.TryGetProperty("additionalProperties", out var additional) && additional.ValueKind == JsonValueKind.False;
        foreach (var property in value.EnumerateObject())
        {
            var path = $"{at}.{property.Name}";
            if (schema.TryGetProperty("properties", out var properties) && properties.TryGetProperty(property.Name, out var own))
            {
                if (Problem(own, property.Value, path) is { } problem)
                    return problem;
            }
            else if (others && !(schema.TryGetProperty("patternProperties", out var patterns) && patterns.EnumerateObject().Any(p => Regex.IsMatch(property.Name, p.Name))))
            {
                return $"{path} has no place there";
            }
        }

        return null;
    }

    private static bool Is(string type, JsonElement value) => (type, value.ValueKind) switch
    {
        ("object", JsonValueKind.Object) or ("array", JsonValueKind.Array) or ("string", JsonValueKind.String) or ("number", JsonValueKind.Number) => true,
        ("boolean", JsonValueKind.True or JsonValueKind.False) => true,
        ("integer", JsonValueKind.Number) => value.TryGetInt64(out _),
        _ => false,
    };
}
