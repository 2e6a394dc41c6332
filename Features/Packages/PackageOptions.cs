using System.Collections.Immutable;
using System.Globalization;
using System.Text.Json;
using Discobot.Infrastructure.Config;

namespace Discobot.Features.Packages;

/// <summary>The <c>packages</c> section.</summary>
internal sealed record PackageOptions
{
    private const int MaxExcluded = 1000;

    /// <summary>A version that was published less long ago than this is kept from the clients of npm, PyPI and crates. Zero: none is. Live.</summary>
    public TimeSpan MinAge { get; init; }

    /// <summary>A version that was published then or later is kept from them. Null: none is. Live.</summary>
    public DateTimeOffset? Before { get; init; }

    /// <summary>The packages whose versions are never kept back: names, and patterns with <c>*</c>. Live.</summary>
    public ImmutableArray<string> MinAgeExclude { get; init; } = [];

    /// <summary>Reads the section; what is not written is as in <paramref name="fallback"/>.</summary>
    public static PackageOptions Read(ConfigNode section, PackageOptions? fallback = null)
    {
        fallback ??= new PackageOptions();
        return new PackageOptions
        {
            MinAge = section["min_age"].AsDuration(fallback.MinAge, TimeSpan.Zero, TimeSpan.FromDays(3650), unit: "d"),
            Before = ReadDate(section["before"], fallback.Before),
            MinAgeExclude = ReadExcluded(section["min_age_exclude"], fallback.MinAgeExclude),
        };
    }

    /// <summary>The section as JSON.</summary>
    public void Write(Utf8JsonWriter json)
    {
        json.WriteStartObject();
        json.WriteString("min_age", Quantity.Format(MinAge));
        if (Before is { } before)
            json.WriteString("before", before.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture));
        json.WriteList("min_age_exclude", MinAgeExclude);
        json.WriteEndObject();
    }

    private static DateTimeOffset? ReadDate(ConfigNode node, DateTimeOffset? fallback)
    {
        if (node.IsAbsent || node.AsString() is not { } text)
            return fallback;
        if (DateTimeOffset.TryParseExact(
            text, ["yyyy-MM-dd", "yyyy-MM-dd'T'HH:mm:ssK", "yyyy-MM-dd'T'HH:mmK"], CultureInfo.InvariantCulture,
            DateTimeStyles.AssumeUniversal | DateTimeStyles.AdjustToUniversal, out var date))
            return date;
        node.Error($"must be a date as 2026-01-01 or a time as 2026-01-01T12:00:00Z, not \"{text}\"");
        return fallback;
    }

    private static ImmutableArray<string> ReadExcluded(ConfigNode node, ImmutableArray<string> fallback)
    {
        if (!node.IsList || node.Items().Count() <= MaxExcluded)
            return node.AsStrings(fallback, text => text.Any(char.IsWhiteSpace) ? $"must be a package's name, with * for any characters, not \"{text}\"" : null);
        node.Error($"must not be more than {MaxExcluded} names");
        return fallback;
    }
}
