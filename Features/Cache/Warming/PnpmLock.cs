using YamlDotNet.RepresentationModel;

namespace Discobot.Features.Cache.Warming;

/// <summary>pnpm-lock.yaml of the versions 5 (<c>/name/1.0.0</c>), 6 (<c>/name@1.0.0</c>) and 9 (<c>name@1.0.0</c>).</summary>
internal static class PnpmLock
{
    public static IEnumerable<WarmItem> Read(string text)
    {
        var stream = new YamlStream();
        stream.Load(new StringReader(text));
        if (stream.Documents is not [{ RootNode: YamlMappingNode root }, ..] || Text(root, "lockfileVersion") is not { } version)
            throw new FormatException("it has no lockfileVersion");
        var isFifth = version.StartsWith('5');
        if (!root.Children.TryGetValue("packages", out var node) || node is not YamlMappingNode packages)
            return [];
        var found = new List<WarmItem>();
        foreach (var (key, package) in packages.Children)
        {
            if (key is not YamlScalarNode { Value: { } path } || package is not YamlMappingNode mapping
                || !mapping.Children.TryGetValue("resolution", out var resolved) || resolved is not YamlMappingNode resolution || NameOf(path, isFifth) is not var (name, number))
                continue;
            // An address is written where it is not the registry's own.
            var url = Text(resolution, "tarball") ?? NpmLock.AddressOf(name, number);
            if (NpmLock.Tarball($"{name}@{number}", url, Text(resolution, "integrity"), "pnpm/?") is { } item)
                found.Add(item);
        }

        return found;
    }

    // What its peers are follows in brackets, in the fifth version behind "_". Files, git and addresses have something else in the place of a version.
    private static (string Name, string Version)? NameOf(string path, bool isFifth)
    {
        path = path.TrimStart('/').Split('(')[0];
        // In the fifth, peers may have slashes, and names may have "_".
        var end = isFifth ? path.IndexOf('/', path.StartsWith('@') ? path.IndexOf('/', StringComparison.Ordinal) + 1 : 0) : path.LastIndexOf('@');
        if (end <= 0 || end + 1 == path.Length || !char.IsAsciiDigit(path[end + 1]))
            return null;
        var version = path[(end + 1)..];
        return (path[..end], isFifth ? version.Split('_', '/')[0] : version);
    }

    private static string? Text(YamlMappingNode node, string key) => node.Children.TryGetValue(key, out var value) ? (value as YamlScalarNode)?.Value : null;
}
