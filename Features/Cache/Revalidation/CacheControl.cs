using System.Globalization;

namespace Discobot.Features.Cache.Revalidation;

/// <summary>
/// The directives of Cache-Control (RFC 9111, 5.2), of a request or an answer. Read tolerantly, as what stands beside a malformed directive counts
/// too; a lifetime that cannot be read is none at all, so that doubt leads to the origin (4.2.1).
/// </summary>
internal sealed class CacheControl
{
    private readonly Dictionary<string, string?> _directives = new(StringComparer.OrdinalIgnoreCase);

    /// <summary>Whether a lifetime was given twice with two values.</summary>
    private readonly HashSet<string> _contradicted = new(StringComparer.OrdinalIgnoreCase);

    private CacheControl()
    {
    }

    public bool IsEmpty => _directives.Count == 0;

    public static CacheControl Of(EntryMetadata record) =>
        Parse(record.Headers.Where(h => h.Key.Equals("Cache-Control", StringComparison.OrdinalIgnoreCase)).Select(h => h.Value));

    public static CacheControl Of(HttpResponseMessage response) =>
        Parse(response.Headers.NonValidated.TryGetValues("Cache-Control", out var values) ? values : []);

    /// <summary>A client's wishes; <c>Pragma: no-cache</c> counts where there is no Cache-Control (RFC 9111, 5.4).</summary>
    public static CacheControl Of(HttpRequest request)
    {
        var wishes = Parse(request.Headers.CacheControl.Select(v => v ?? ""));
        if (wishes.IsEmpty && request.Headers.Pragma.Any(v => v?.Contains("no-cache", StringComparison.OrdinalIgnoreCase) == true))
            wishes._directives["no-cache"] = null;
        return wishes;
    }

    public static CacheControl Parse(IEnumerable<string> lines)
    {
        var control = new CacheControl();
        var text = string.Join(",", lines).AsSpan();
        while (!text.IsEmpty)
            control.ReadOne(ref text);
        return control;
    }

    /// <summary>Whether what is stale may not be used without the origin's word (RFC 9111, 4.2.4).</summary>
    public bool IsStrict => Has("must-revalidate") || Has("proxy-revalidate") || Has("s-maxage");

    /// <summary>Whether an answer to one credential may be used for others (RFC 9111, 3.5).</summary>
    public bool IsForAll => Has("public") || Has("s-maxage") || Has("must-revalidate");

    public bool Has(string directive) => _directives.ContainsKey(directive);

    /// <summary>Whether it stands there without an argument, which means more than with one (<c>max-stale</c>).</summary>
    public bool HasBare(string directive) => _directives.TryGetValue(directive, out var value) && value is null;

    /// <summary>A lifetime in seconds: null when it is not given, 0 when it cannot be read.</summary>
    public long? Seconds(string directive) =>
        !_directives.TryGetValue(directive, out var value) ? null
        : _contradicted.Contains(directive) ? 0
        : DeltaSeconds(value) ?? 0;

    /// <summary>What a number stands for that is too large (RFC 9111, 1.2.2).</summary>
    public const long Endless = 1L << 31;

    /// <summary>Digits alone; what is too large is <see cref="Endless"/>.</summary>
    public static long? DeltaSeconds(string? text)
    {
        if (string.IsNullOrEmpty(text) || text.AsSpan().ContainsAnyExceptInRange('0', '9'))
            return null;
        return long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var seconds) ? Math.Min(seconds, Endless) : Endless;
    }

    private void ReadOne(ref ReadOnlySpan<char> text)
    {
        var end = text.IndexOfAny(',', '=');
        var name = (end < 0 ? text : text[..end]).Trim();
        string? value = null;
        if (end >= 0 && text[end] == '=')
        {
            text = text[(end + 1)..];
            value = ReadValue(ref text);
        }
        else
        {
            text = end < 0 ? [] : text[(end + 1)..];
        }

        if (name.IsEmpty)
            return;
        var key = name.ToString();
        if (_directives.TryAdd(key, value))
            return;
        if (_directives[key] != value)
            _contradicted.Add(key);
    }

    private static string ReadValue(ref ReadOnlySpan<char> text)
    {
        string value;
        if (!text.IsEmpty && text[0] == '"')
        {
            var read = new System.Text.StringBuilder();
            var i = 1;
            for (; i < text.Length && text[i] != '"'; i++)
            {
                if (text[i] == '\\' && i + 1 < text.Length)
                    i++;
                read.Append(text[i]);
            }

            text = text[Math.Min(i + 1, text.Length)..];
            value = read.ToString();
            var comma = text.IndexOf(',');
            text = comma < 0 ? [] : text[(comma + 1)..];
            return value;
        }

        var end = text.IndexOf(',');
        value = (end < 0 ? text : text[..end]).ToString();
        text = end < 0 ? [] : text[(end + 1)..];
        // "max-age= 5" is no lifetime; blanks after it are.
        return value.TrimEnd();
    }
}
