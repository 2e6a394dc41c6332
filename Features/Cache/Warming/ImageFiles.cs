using System.Text.RegularExpressions;
using YamlDotNet.RepresentationModel;

namespace Discobot.Features.Cache.Warming;

/// <summary>The images that a Dockerfile builds on, and those of a compose file's services.</summary>
internal static partial class ImageFiles
{
    public static IEnumerable<WarmItem> ReadDockerfile(string text)
    {
        // Only ARGs before the first FROM count in it, and of them only the defaults are known here.
        var arguments = new Dictionary<string, string>(StringComparer.Ordinal);
        var stages = new HashSet<string>(StringComparer.OrdinalIgnoreCase) { "scratch" };
        var found = new List<WarmItem>();
        var began = false;
        foreach (var line in Continued().Replace(text, " ").Split('\n'))
        {
            if (!began && Argument().Match(line) is { Success: true } argument)
                arguments[argument.Groups[1].Value] = argument.Groups[2].Value.Trim('"', '\'');
            var (reference, stage) = From().Match(line) is { Success: true } from ? (from.Groups[1].Value, from.Groups[2].Value)
                : CopyFrom().Match(line) is { Success: true } copy ? (copy.Groups[1].Value, "") : ("", "");
            var name = Substituted(reference, n => arguments.GetValueOrDefault(n));
            if (name.Length > 0 && !stages.Contains(name) && !name.All(char.IsAsciiDigit))
                found.Add(WarmFiles.ImageItem(name));
            began |= reference.Length > 0;
            if (stage.Length > 0)
                stages.Add(stage);
        }

        return found;
    }

    public static IEnumerable<WarmItem> ReadCompose(string text)
    {
        var stream = new YamlStream();
        stream.Load(new StringReader(text));
        if (stream.Documents is not [var document, ..] || Value(document.RootNode, "services") is not YamlMappingNode services)
            throw new FormatException("it has no services");
        return [.. services.Children.Values
            // What is built here comes from no registry; its Dockerfile says what that needs.
            .Where(service => Value(service, "build") is null)
            .Select(service => (Value(service, "image") as YamlScalarNode)?.Value)
            .OfType<string>().Select(image => WarmFiles.ImageItem(Substituted(image, Environment.GetEnvironmentVariable)))];
    }

    // Also through "<<: *defaults".
    private static YamlNode? Value(YamlNode node, string key)
    {
        if (node is not YamlMappingNode mapping)
            return null;
        return mapping.Children.TryGetValue(new YamlScalarNode(key), out var value) ? value
            : mapping.Children.TryGetValue(new YamlScalarNode("<<"), out var merged)
                ? merged is YamlSequenceNode several ? several.Children.Select(m => Value(m, key)).FirstOrDefault(v => v is not null) : Value(merged, key)
            : null;
    }

    // ${NAME}, $NAME, ${NAME:-default} and ${NAME-default}; what is not known stays, and is then no image's name.
    private static string Substituted(string text, Func<string, string?> values) => Variable().Replace(text, match =>
    {
        var value = values(match.Groups["name"].Value + match.Groups["plain"].Value);
        return !string.IsNullOrEmpty(value) ? value : match.Groups["default"] is { Success: true } fallback ? fallback.Value : match.Value;
    });

    [GeneratedRegex(@"\\[ \t]*\r?\n", RegexOptions.CultureInvariant)]
    private static partial Regex Continued();

    [GeneratedRegex(@"^\s*ARG\s+([A-Za-z_][A-Za-z0-9_]*)=(\S*)", RegexOptions.IgnoreCase | RegexOptions.CultureInvariant)]
    private static partial Regex Argument();

    [GeneratedRegex(@"^\s*FROM\s+(?:--\S+\s+)*(\S+)(?:\s+AS\s+(\S+))?", RegexOptions.IgnoreCase | RegexOptions.CultureInvariant)]
    private static partial Regex From();

    [GeneratedRegex(@"^\s*(?:COPY|ADD)\s+(?:--\S+\s+)*?--from=(\S+)", RegexOptions.IgnoreCase | RegexOptions.CultureInvariant)]
    private static partial Regex CopyFrom();

    [GeneratedRegex(@"\$(?:\{(?<name>[A-Za-z_][A-Za-z0-9_]*)(?::?-(?<default>[^}]*))?\}|(?<plain>[A-Za-z_][A-Za-z0-9_]*))", RegexOptions.CultureInvariant)]
    private static partial Regex Variable();
}
