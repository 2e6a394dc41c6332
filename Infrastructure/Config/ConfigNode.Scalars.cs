using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Text.RegularExpressions;

namespace Discobot.Infrastructure.Config;

/// <summary>Single values. Each gives its fallback when nothing, or something wrong, is written.</summary>
internal sealed partial class ConfigNode
{
    /// <summary>A text; numbers and words count as written. Empty is an error.</summary>
    [return: NotNullIfNotNull(nameof(fallback))]
    public string? AsString(string? fallback = null)
    {
        _shape?.Scalar(ScalarShape.Text);
        if (!Expect(ConfigKind.Scalar, "must be a single value"))
            return fallback;
        if (_value!.Text.Length > 0)
            return _value.Text;
        Error("must not be empty");
        return fallback;
    }

    /// <summary>true or false, and the other words YAML 1.1 has for them.</summary>
    public bool AsBool(bool fallback)
    {
        _shape?.Scalar(ScalarShape.Bool);
        if (!Expect(ConfigKind.Scalar, "must be true or false"))
            return fallback;
        switch (_value!.Text.ToLowerInvariant())
        {
            case "true" or "yes" or "on":
                return true;
            case "false" or "no" or "off":
                return false;
            default:
                Error($"must be true or false, not {Described}");
                return fallback;
        }
    }

    /// <summary>A decimal whole number from <paramref name="min"/> to <paramref name="max"/>.</summary>
    public int AsInt(int fallback, int min = 0, int max = int.MaxValue)
    {
        _shape?.Scalar(ScalarShape.Whole(min, max));
        var allowed = string.Create(CultureInfo.InvariantCulture, $"must be a whole number from {min} to {max}");
        if (!Expect(ConfigKind.Scalar, allowed))
            return fallback;
        if (int.TryParse(_value!.Text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number)
            && number >= min && number <= max)
            return number;
        Error($"{allowed}, not {Described}");
        return fallback;
    }

    /// <summary>A time: <c>30s</c>, <c>1h30m</c>, <c>500ms</c>, a bare number of seconds.</summary>
    public TimeSpan AsDuration(TimeSpan fallback, TimeSpan? min = null, TimeSpan? max = null, string? unit = null)
    {
        _shape?.Scalar(ScalarShape.Duration);
        var (least, most) = (min ?? TimeSpan.Zero, max ?? TimeSpan.FromDays(365));
        var allowed = $"must be a time from {Quantity.Format(least)} to {Quantity.Format(most)}, as in 30s, 1h30m or 500ms";
        if (!Expect(ConfigKind.Scalar, allowed))
            return fallback;
        if (unit is not null && decimal.TryParse(_value!.Text, NumberStyles.Number, CultureInfo.InvariantCulture, out var bare) && bare != 0)
        {
            Error($"give a unit, as {_value.Text.Trim()}{unit}");
            return fallback;
        }

        if (Quantity.TryParseDuration(_value!.Text, out var time) && time >= least && time <= most)
            return time;
        Error($"{allowed}, not {Described}");
        return fallback;
    }

    /// <summary>A number of bytes, plain or as <c>20GB</c> (powers of 1000), <c>50GiB</c> or <c>50G</c> (powers of 1024).</summary>
    public long AsSize(long fallback, long min = 1, long max = long.MaxValue)
    {
        _shape?.Scalar(ScalarShape.Size);
        var allowed = $"must be a size of at least {Quantity.Format(min)}"
            + (max == long.MaxValue ? "" : $" and at most {Quantity.Format(max)}") + ", in bytes or as in 20GB, 50GiB or 50G";
        if (!Expect(ConfigKind.Scalar, allowed))
            return fallback;
        if (Quantity.TryParseSize(_value!.Text, out var bytes) && bytes >= min && bytes <= max)
            return bytes;
        Error($"{allowed}, not {Described}");
        return fallback;
    }

    /// <summary>One of a few words.</summary>
    public T AsWord<T>(T fallback, params ReadOnlySpan<(string Word, T Meaning)> words)
    {
        var names = new string[words.Length];
        for (var i = 0; i < words.Length; i++)
            names[i] = words[i].Word;
        _shape?.Scalar(ScalarShape.OneOf(names));
        var allowed = $"must be {string.Join(", ", names[..^1])} or {names[^1]}";
        if (!Expect(ConfigKind.Scalar, allowed))
            return fallback;
        foreach (var (word, meaning) in words)
        {
            if (word.Equals(_value!.Text, StringComparison.OrdinalIgnoreCase))
                return meaning;
        }

        Error($"{allowed}, not {Described}{NearestWord.Suggestion(_value!.Text, names)}");
        return fallback;
    }

    /// <summary>A regular expression that matches in linear time (no backtracking), so no path can hang the proxy.</summary>
    /// <param name="built">Expressions to take instead of building an equal one: building takes milliseconds.</param>
    /// <returns>Null when absent or, told as an error, not usable.</returns>
    public Regex? AsRegex(ImmutableArray<Regex> built)
    {
        if (AsString() is not { } pattern)
            return null;
        if (built.FirstOrDefault(r => r.ToString() == pattern) is { } known)
            return known;
        try
        {
            return new Regex(pattern, RegexOptions.NonBacktracking | RegexOptions.CultureInvariant);
        }
        catch (ArgumentException e)
        {
            Error($"not a regular expression: {e.Message}");
        }
        catch (NotSupportedException)
        {
            Error("must not use look-around, back-references or atomic groups, and not be huge; "
                + "expressions run without backtracking so that none can hang the proxy");
        }

        return null;
    }
}
