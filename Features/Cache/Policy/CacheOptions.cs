using System.Collections.Immutable;
using System.Text.Json;
using System.Text.RegularExpressions;
using Discobot.Features.Cache.Revalidation;
using Discobot.Infrastructure.Config;

namespace Discobot.Features.Cache.Policy;

/// <summary>The <c>cache</c> section.</summary>
internal sealed record CacheOptions
{
    /// <summary>Each expression costs half a megabyte and milliseconds to build, and is asked about every path.</summary>
    private const int MaxPatterns = 64;

    /// <summary>Content-addressed Docker paths: what they name can never change.</summary>
    private static readonly ImmutableArray<Regex> DockerPatterns =
    [
        Linear("^/v2/.*/blobs/sha256:.*"),
        Linear("^/v2/.*/manifests/sha256:.*"),
        Linear("^/registry-v2/docker/registry/v2/blobs/sha256/"),
    ];

    /// <summary>False: everything passes, nothing is stored or served. Needs a restart.</summary>
    public bool Enabled { get; init; } = true;

    /// <summary>An absolute path. Needs a restart.</summary>
    public string Dir { get; init; } = "/.data/proxy/cache";

    /// <summary>Bytes of bodies kept before the least recently used go: 20 GiB. Live.</summary>
    public long MaxSize { get; init; } = 20L << 30;

    /// <summary>A directory in which several containers keep bodies for each other; null: none. Needs a restart.</summary>
    public string? Shared { get; init; }

    /// <summary>Bytes of bodies in <see cref="Shared"/> before the least recently used go: 100 GiB. Live.</summary>
    public long SharedMaxSize { get; init; } = 100L << 30;

    /// <summary>A GET whose path (no query) matches one of these may be stored. Matched without backtracking. Live.</summary>
    public ImmutableArray<Regex> Patterns { get; init; } = DockerPatterns;

    /// <summary>A body stored under a digest answers every path that names the digest, and is stored once. Live.</summary>
    public bool ContentAware { get; init; } = true;

    /// <summary>A download whose client left is finished when it is at most this long (64 MiB) or more than half done. 0: never on size. Live.</summary>
    public long FillAfterAbort { get; init; } = 64L << 20;

    /// <summary>Answer a tag with the digest it last had when upstream cannot be reached. Off, because tags move. Live.</summary>
    public bool StaleTags { get; init; }

    /// <summary>How addresses are kept that name no digest; the first that matches counts, before the package registries. Live.</summary>
    public ImmutableArray<CacheRule> Rules { get; init; } = [];

    /// <summary>The package registries whose addresses are recognised by their shape. Live.</summary>
    public ImmutableArray<string> Packages { get; init; } = PackageRules.Ecosystems;

    /// <summary>Whether what was stored of a package registry answers while that cannot be reached. Live.</summary>
    public bool OfflineServes { get; init; } = true;

    /// <summary>Images, and absolute paths of files that name more, brought in at each start. Needs a restart.</summary>
    public ImmutableArray<string> Warm { get; init; } = [];

    /// <summary>A store beyond this machine. The operator's; needs a restart.</summary>
    public RemoteOptions Remote { get; init; } = new();

    /// <summary>Reads the section; what is not written is as in <paramref name="fallback"/>.</summary>
    public static CacheOptions Read(ConfigNode section, CacheOptions? fallback = null)
    {
        fallback ??= new CacheOptions();
        var enabled = section["enabled"].AsBool(fallback.Enabled);
        return new CacheOptions
        {
            Enabled = enabled,
            Dir = section["dir"].AsPath(fallback.Dir),
            MaxSize = section["max_size"].AsSize(fallback.MaxSize, min: enabled ? 1 : 0),
            Shared = section["shared"].AsPath(fallback.Shared),
            SharedMaxSize = section["shared_max_size"].AsSize(fallback.SharedMaxSize),
            Patterns = ReadPatterns(section["patterns"], fallback.Patterns),
            ContentAware = section["content_aware"].AsBool(fallback.ContentAware),
            FillAfterAbort = section["fill_after_abort"].AsSize(fallback.FillAfterAbort, min: 0),
            StaleTags = section["stale_tags"].AsBool(fallback.StaleTags),
            Rules = CacheRule.ReadAll(section["rules"], fallback.Rules),
            Packages = section["packages"].AsStrings(fallback.Packages, UnknownEcosystem),
            Warm = section["warm"].AsStrings(fallback.Warm, UnknownToWarm),
            OfflineServes = section["offline"].AsWord(fallback.OfflineServes, ("serve", true), ("fail", false)),
            Remote = RemoteOptions.Read(section["remote"], fallback.Remote),
        };
    }

    private static ImmutableArray<Regex> ReadPatterns(ConfigNode node, ImmutableArray<Regex> fallback)
    {
        if (!node.IsList || node.Items().Count() <= MaxPatterns)
            return node.AsList(fallback, n => n.AsRegex(fallback));
        node.Error($"must not be more than {MaxPatterns} expressions; join some with |");
        return fallback;
    }

    private static string? UnknownToWarm(string name) =>
        name.StartsWith('/') ? WarmFiles.IsKnown(name) ? null : $"must be an image or the absolute path of a {WarmFiles.Known}, not \"{name}\""
        : ImageReference.TryParse(name, out _) ? null : $"must be an image as docker pull takes it, or an absolute path, not \"{name}\"";

    private static string? UnknownEcosystem(string name) =>
        PackageRules.Ecosystems.Contains(name) ? null : $"must be one of {string.Join(", ", PackageRules.Ecosystems)}, not \"{name}\"";

    private static Regex Linear(string pattern) => new(pattern, RegexOptions.NonBacktracking | RegexOptions.CultureInvariant);

    /// <summary>The section as JSON, secrets masked.</summary>
    public void Write(Utf8JsonWriter json)
    {
        json.WriteStartObject();
        json.WriteBoolean("enabled", Enabled);
        json.WriteString("dir", Dir);
        json.WriteNumber("max_size", MaxSize);
        if (Shared is not null)
            json.WriteString("shared", Shared);
        json.WriteNumber("shared_max_size", SharedMaxSize);
        json.WriteList("patterns", Patterns);
        json.WriteBoolean("content_aware", ContentAware);
        json.WriteNumber("fill_after_abort", FillAfterAbort);
        json.WriteBoolean("stale_tags", StaleTags);
        json.WriteStartArray("rules");
        foreach (var rule in Rules)
            rule.Write(json);
        json.WriteEndArray();
        json.WriteList("packages", Packages);
        json.WriteList("warm", Warm);
        json.WriteString("offline", OfflineServes ? "serve" : "fail");
        if (Remote.IsOn)
        {
            json.WritePropertyName("remote");
            Remote.Write(json);
        }

        json.WriteEndObject();
    }
}
