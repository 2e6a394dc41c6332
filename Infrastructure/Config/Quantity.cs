using System.Buffers;
using System.Globalization;

namespace Discobot.Infrastructure.Config;

/// <summary>Times and sizes as people write them.</summary>
internal static class Quantity
{
    private static readonly (string Suffix, decimal Factor)[] Times =
        [("ms", TimeSpan.TicksPerMillisecond), ("d", TimeSpan.TicksPerDay), ("h", TimeSpan.TicksPerHour), ("m", TimeSpan.TicksPerMinute), ("s", TimeSpan.TicksPerSecond)];

    private static readonly (string Suffix, decimal Factor)[] Sizes =
    [
        ("KiB", 1L << 10), ("MiB", 1L << 20), ("GiB", 1L << 30), ("TiB", 1L << 40),
        ("KB", 1e3m), ("MB", 1e6m), ("GB", 1e9m), ("TB", 1e12m), ("B", 1),
        ("Ki", 1L << 10), ("Mi", 1L << 20), ("Gi", 1L << 30), ("Ti", 1L << 40),
        ("K", 1L << 10), ("M", 1L << 20), ("G", 1L << 30), ("T", 1L << 40),
    ];

    private static readonly SearchValues<char> Digits = SearchValues.Create("0123456789.");

    /// <summary><c>30s</c>, <c>5m</c>, <c>1h30m</c>, <c>500ms</c>, <c>4.5s</c>, <c>7d</c>; a bare number is seconds. Never negative.</summary>
    public static bool TryParseDuration(ReadOnlySpan<char> text, out TimeSpan time)
    {
        time = default;
        text = text.Trim();
        if (Number(ref text) is not { } value)
            return false;
        if (Sum(value, text.IsEmpty ? "s" : text) is not { } ticks)
            return false;
        time = TimeSpan.FromTicks((long)ticks);
        return true;
    }

    /// <summary>Bytes, or a number with B, KB, MB, GB, TB (powers of 1000), KiB, MiB, GiB, TiB or K, M, G, T (powers of 1024, as the sizes of
    /// GNU coreutils, nginx and docker), in any case.</summary>
    public static bool TryParseSize(ReadOnlySpan<char> text, out long bytes)
    {
        bytes = 0;
        text = text.Trim();
        if (Number(ref text) is not { } value)
            return false;
        var suffix = text.TrimStart();
        var factor = suffix.IsEmpty ? 1 : Factor(suffix, Sizes, StringComparison.OrdinalIgnoreCase);
        if (factor is not { } unit || value > long.MaxValue / unit || value * unit is var total && total != decimal.Truncate(total))
            return false;
        bytes = (long)total;
        return true;
    }

    /// <summary>The shortest exact way to write it: <c>4.5s</c>, <c>1h30m</c>.</summary>
    public static string Format(TimeSpan time)
    {
        if (time > TimeSpan.Zero && time < TimeSpan.FromSeconds(1))
            return string.Create(CultureInfo.InvariantCulture, $"{time.TotalMilliseconds:0.####}ms");
        var hours = (long)time.TotalHours;
        var seconds = time.TotalSeconds % 60;
        return (hours > 0 ? string.Create(CultureInfo.InvariantCulture, $"{hours}h") : "")
            + (time.Minutes > 0 ? string.Create(CultureInfo.InvariantCulture, $"{time.Minutes}m") : "")
            + (seconds > 0 || time < TimeSpan.FromMinutes(1) ? string.Create(CultureInfo.InvariantCulture, $"{seconds:0.#######}s") : "");
    }

    /// <summary>In the largest binary unit that is exact, else in bytes: <c>20GiB</c>, <c>1500B</c>.</summary>
    public static string Format(long bytes)
    {
        (string, int)[] units = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)];
        foreach (var (suffix, shift) in units)
        {
            if (bytes != 0 && bytes % (1L << shift) == 0)
                return string.Create(CultureInfo.InvariantCulture, $"{bytes >> shift}{suffix}");
        }

        return string.Create(CultureInfo.InvariantCulture, $"{bytes}B");
    }

    private static decimal? Sum(decimal value, ReadOnlySpan<char> text)
    {
        decimal ticks = 0;
        while (true)
        {
            var letters = text.IndexOfAnyExceptInRange('a', 'z');
            var suffix = letters < 0 ? text : text[..letters];
            if (Factor(suffix, Times, StringComparison.Ordinal) is not { } unit || value > (TimeSpan.MaxValue.Ticks - ticks) / unit)
                return null;
            ticks += value * unit;
            text = text[suffix.Length..];
            if (text.IsEmpty)
                return ticks;
            if (Number(ref text) is not { } next)
                return null;
            value = next;
        }
    }

    private static decimal? Factor(ReadOnlySpan<char> suffix, (string Suffix, decimal Factor)[] units, StringComparison comparison)
    {
        foreach (var (name, factor) in units)
        {
            if (suffix.Equals(name, comparison))
                return factor;
        }

        return null;
    }

    // Digits, at most one point, at most 19 characters: more is no quantity anyone means, and decimal holds it without overflow.
    private static decimal? Number(ref ReadOnlySpan<char> text)
    {
        var end = text.IndexOfAnyExcept(Digits);
        var digits = end < 0 ? text : text[..end];
        if (digits.Length is 0 or > 19
            || !decimal.TryParse(digits, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var value))
            return null;
        text = text[digits.Length..];
        return value;
    }
}
