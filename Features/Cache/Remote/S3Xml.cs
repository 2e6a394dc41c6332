using System.Net;

namespace Discobot.Features.Cache.Remote;

/// <summary>The few values that are needed of the XML of S3 and STS, whose elements of a name are single texts.</summary>
internal static class S3Xml
{
    /// <summary>The text of the first element of a name, whatever its depth; null: there is none.</summary>
    public static string? Value(string xml, string element)
    {
        var start = xml.IndexOf($"<{element}>", StringComparison.Ordinal);
        if (start < 0)
            return null;
        start += element.Length + 2;
        var end = xml.IndexOf($"</{element}>", start, StringComparison.Ordinal);
        return end < 0 ? null : WebUtility.HtmlDecode(xml[start..end].Trim());
    }

    /// <summary>Whether the document is this one: its root may have a namespace.</summary>
    public static bool Is(string xml, string root) =>
        xml.Contains($"<{root}>", StringComparison.Ordinal) || xml.Contains($"<{root} ", StringComparison.Ordinal);

    /// <summary>The code of an error, such as <c>SlowDown</c>; empty when there is none that may be shown.</summary>
    public static string ErrorCode(string xml) => Value(xml, "Code") is { Length: > 0 and < 64 } code && code.All(char.IsAsciiLetterOrDigit) ? code : "";
}
