using System.Collections.Frozen;
using System.Collections.Immutable;
using Discobot.Infrastructure.Config;

namespace Discobot.Features.Allowlist;

/// <summary>Entries that many need, under a name: <c>allowlist.presets</c>. Each is a small file of this program.</summary>
/// <param name="Name">As it is written in the configuration.</param>
/// <param name="Reason">What it is for.</param>
/// <param name="Domains">What it allows.</param>
internal sealed record AllowlistPreset(string Name, string Reason, ImmutableArray<DomainRule> Domains)
{
    private const string Folder = "presets/";

    private static readonly Lazy<FrozenDictionary<string, AllowlistPreset>> Known = new(() => typeof(AllowlistPreset).Assembly.GetManifestResourceNames()
        .Where(name => name.StartsWith(Folder, StringComparison.Ordinal)).Select(Read).ToFrozenDictionary(preset => preset.Name, StringComparer.Ordinal));

    /// <summary>All there are, by name.</summary>
    public static IEnumerable<AllowlistPreset> All => Known.Value.Values.OrderBy(preset => preset.Name, StringComparer.Ordinal);

    /// <exception cref="KeyNotFoundException">There is none of this name.</exception>
    public static AllowlistPreset Named(string name) => Known.Value[name];

    /// <summary>Why a name is none; null: it is one.</summary>
    public static string? Problem(string name) => Known.Value.ContainsKey(name) ? null : $"no preset has the name {ConfigPath.Quote(name)}; there are {string.Join(", ", All.Select(p => p.Name))}";

    private static AllowlistPreset Read(string resource)
    {
        using var reader = new StreamReader(typeof(AllowlistPreset).Assembly.GetManifestResourceStream(resource)!);
        var name = resource[Folder.Length..^".yaml".Length];
        var read = ConfigDocument.Parse(reader.ReadToEnd(), resource).Read(root => new AllowlistPreset(
            name, root["reason"].AsString() ?? throw new FormatException($"{resource} has no reason"), root["domains"].AsList<DomainRule>([], DomainRule.Read)));
        return read.Value ?? throw new FormatException(read.ErrorText());
    }
}
