using System.Globalization;

namespace Discobot.Infrastructure;

/// <summary>Text of the network's or of a program's name, such that it can do nothing to a terminal.</summary>
internal static class VisibleText
{
    /// <summary>Control characters and those that change the direction of writing become question marks.</summary>
    public static string Of(string text) => string.Concat(text.Select(c =>
        char.IsControl(c) || char.GetUnicodeCategory(c) is UnicodeCategory.Format or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator or UnicodeCategory.Surrogate ? '?' : c));
}
