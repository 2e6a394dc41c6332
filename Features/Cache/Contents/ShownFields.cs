using System.Text.RegularExpressions;

namespace Discobot.Features.Cache.Contents;

/// <summary>The header fields of a record, without what opens a door: cookies, tokens, and the queries of addresses, which may be signed.</summary>
internal static partial class ShownFields
{
    private static readonly string[] Secrets = ["cookie", "token", "secret", "auth", "credential", "signature", "api-key", "session"];

    public static ShownField[] Of(EntryMetadata record) => [.. record.Headers.Select(h => new ShownField(h.Key, IsSecret(h.Key) ? "…" : WithoutQueries(h.Value)))];

    private static bool IsSecret(string name) => Secrets.Any(word => name.Contains(word, StringComparison.OrdinalIgnoreCase));

    private static string WithoutQueries(string value) => Query().Replace(value, "?…");

    // A question mark that more than a blank follows, up to where an address ends in a field: Location, Link, Content-Location and their kin.
    [GeneratedRegex(@"\?[^\s<>"",;]+", RegexOptions.CultureInvariant)]
    private static partial Regex Query();
}
