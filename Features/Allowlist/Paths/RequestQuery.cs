using System.Buffers;
using System.Globalization;
using System.Text;

namespace Discobot.Features.Allowlist.Paths;

/// <summary>
/// A request's query in every way in which someone on the way may read it: with <c>+</c> as a blank and as itself, with <c>;</c> between parameters and within
/// one, decoded once and decoded again. Octets are characters here, whatever text they are.
/// </summary>
internal sealed class RequestQuery
{
    // PHP and qs read a thousand, Django and ASP.NET Core refuse more than that.
    private const int MostParameters = 500;

    private static readonly SearchValues<char> HexDigits = SearchValues.Create("0123456789abcdefABCDEF");

    private RequestQuery(IReadOnlyList<IReadOnlyList<(string Name, string Value)>> readings, bool isClear) => (Readings, IsClear) = (readings, isClear);

    /// <summary>The parameters of each reading, in their order; of one without <c>=</c> the value is empty.</summary>
    public IReadOnlyList<IReadOnlyList<(string Name, string Value)>> Readings { get; }

    /// <summary>
    /// False for what no rule should judge: with control characters, escaped again and again or in a way of IIS's own, with a <c>#</c>, behind which nothing
    /// counts for some, or with so many parameters that servers leave out the rest.
    /// </summary>
    public bool IsClear { get; }

    /// <param name="query">Behind the question mark, as sent.</param>
    public static RequestQuery Of(string query)
    {
        var readings = new List<IReadOnlyList<(string, string)>>();
        var isClear = !query.Contains('#', StringComparison.Ordinal) && HasWholeEscapes(query) && query.AsSpan().Count('&') + query.AsSpan().Count(';') < MostParameters;
        foreach (var separators in query.Contains(';', StringComparison.Ordinal) ? (string[])["&", "&;"] : ["&"])
        {
            foreach (var blank in query.Contains('+', StringComparison.Ordinal) ? (char[])[' ', '+'] : ['+'])
            {
                var parts = query.Replace('+', blank).Split(separators.ToCharArray(), StringSplitOptions.RemoveEmptyEntries).Select(Split);
                var once = parts.Select(p => (Name: Decode(p.Name), Value: Decode(p.Value))).ToList();
                var twice = once.Select(p => (Name: Decode(p.Name), Value: Decode(p.Value))).ToList();
                isClear &= once.TrueForAll(p => !HasWideEscape(p.Name) && !HasWideEscape(p.Value)) && twice.TrueForAll(p => IsText(p.Name) && IsText(p.Value));
                readings.Add(once);
                if (!twice.SequenceEqual(once))
                    readings.Add(twice);
            }
        }

        return new RequestQuery(readings, isClear);
    }

    /// <summary>A text as the octets of its UTF-8.</summary>
    public static string Octets(string text) => Encoding.Latin1.GetString(Encoding.UTF8.GetBytes(text));

    private static (string Name, string Value) Split(string part) => part.IndexOf('=', StringComparison.Ordinal) is var end and >= 0 ? (part[..end], part[(end + 1)..]) : (part, "");

    private static bool IsText(string text) => !text.Any(c => c is < ' ' or '\x7f') && Decode(text) == text;

    // As it came: what has been decoded may hold a "%" of its own.
    private static bool HasWholeEscapes(string query)
    {
        for (var at = query.IndexOf('%', StringComparison.Ordinal); at >= 0; at = query.IndexOf('%', at + 1))
        {
            if (at + 2 >= query.Length || !char.IsAsciiHexDigit(query[at + 1]) || !char.IsAsciiHexDigit(query[at + 2]))
                return false;
        }

        return true;
    }

    // %u006d is a letter to IIS, wherever decoding once more leads.
    private static bool HasWideEscape(string text)
    {
        for (var at = text.IndexOf("%u", StringComparison.OrdinalIgnoreCase); at >= 0; at = text.IndexOf("%u", at + 1, StringComparison.OrdinalIgnoreCase))
        {
            if (at + 5 < text.Length && !text.AsSpan(at + 2, 4).ContainsAnyExcept(HexDigits))
                return true;
        }

        return false;
    }

    private static string Decode(string text)
    {
        if (!text.Contains('%', StringComparison.Ordinal))
            return text;
        var decoded = new StringBuilder(text.Length);
        for (var i = 0; i < text.Length; i++)
        {
            if (text[i] == '%' && i + 2 < text.Length && byte.TryParse(text.AsSpan(i + 1, 2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var octet))
            {
                decoded.Append((char)octet);
                i += 2;
            }
            else
            {
                decoded.Append(text[i]);
            }
        }

        return decoded.ToString();
    }
}

/// <summary>What is asked of a host: a path and a query, read once for all entries, and only where one speaks of them.</summary>
/// <param name="path">As sent.</param>
/// <param name="query">As sent; empty where there is none.</param>
internal sealed class AskedPath(string path, string query)
{
    private RequestPath? _path;
    private RequestQuery? _query;

    /// <summary>The path as sent.</summary>
    public string Text => path;

    public RequestPath Path => _path ??= RequestPath.Of(path);

    public RequestQuery Query => _query ??= RequestQuery.Of(query);
}
