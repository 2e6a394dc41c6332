using System.Globalization;

namespace Discobot.Infrastructure.Config;

/// <summary>Key paths as errors print them: <c>cache.patterns[2]</c>, <c>headers."*.example.com".set</c>.</summary>
internal static class ConfigPath
{
    public static string Key(string parent, string key)
    {
        var shown = key.Length > 0 && key.All(c => char.IsAsciiLetterOrDigit(c) || c is '_' or '-') ? key : Quote(key);
        return parent.Length == 0 ? shown : $"{parent}.{shown}";
    }

    public static string Item(string parent, int index) => string.Create(CultureInfo.InvariantCulture, $"{parent}[{index}]");

    /// <summary>What the user wrote, safe for one log line: control characters gone, at most 60 characters.</summary>
    public static string Quote(string text)
    {
        var cut = text.Length > 60 ? text[..60] + "…" : text;
        return $"\"{string.Concat(cut.Select(c => char.IsControl(c) ? '?' : c))}\"";
    }
}
