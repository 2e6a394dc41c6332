using System.Collections.Frozen;
using Discobot.Infrastructure.Wire;

namespace Discobot.Features.Cache.Policy;

/// <summary>Header fields of upstream's answers.</summary>
internal static class EndToEnd
{
    // Ours to say on each answer: lengths and ranges, where it came from. Age would be wrong from the next second on.
    private static readonly FrozenSet<string> Ours = new[]
    {
        "Content-Length", "Accept-Ranges", "X-Cache", "X-Cache-Date", "Age", "Warning",
    }.ToFrozenSet(StringComparer.OrdinalIgnoreCase);

    /// <summary>All fields but those of the connection (RFC 9110, 7.6.1) and those whose name is none, as sent but for control
    /// characters, repeated fields as repeated pairs.</summary>
    public static IReadOnlyList<KeyValuePair<string, string>> Headers(HttpResponseMessage response)
    {
        var named = HopByHop.NamedBy(response.Headers.NonValidated.TryGetValues("Connection", out var connection)
            ? new([.. connection]) : default).ToHashSet(StringComparer.OrdinalIgnoreCase);
        var all = new List<KeyValuePair<string, string>>();
        foreach (var (name, values) in response.Headers.NonValidated.Concat(response.Content.Headers.NonValidated))
        {
            if (HopByHop.Contains(name) || named.Contains(name))
                continue;
            foreach (var value in values)
            {
                if (HttpToken.IsValid(name))
                    all.Add(new(name, Cleaned(value)));
            }
        }

        return all;
    }

    /// <summary>The fields that are right for every later client.</summary>
    /// <param name="headers">As from <see cref="Headers"/>.</param>
    /// <param name="cookies">Whether Set-Cookie may stay; a cookie is for one client, and content-addressed bodies need none.</param>
    public static IReadOnlyList<KeyValuePair<string, string>> Storable(IEnumerable<KeyValuePair<string, string>> headers, bool cookies) =>
        [.. headers.Where(h => !Ours.Contains(h.Key) && !HopByHop.Contains(h.Key) && IsSendable(h.Key, h.Value) && (cookies || !h.Key.Equals("Set-Cookie", StringComparison.OrdinalIgnoreCase)))];

    // As the forwarding does it: the server for clients refuses control characters, and all of the answer with them.
    private static string Cleaned(string value) =>
        IsSendable("x", value) ? value : string.Concat(value.Select(c => c is (< ' ' and not '\t') or '\x7f' or > '\xff' ? ' ' : c));

    /// <summary>Whether our own server would send it: a name that is a token (RFC 9110, 5.1), a value without control characters (5.5).</summary>
    public static bool IsSendable(string name, string value)
    {
        if (!HttpToken.IsValid(name))
            return false;
        foreach (var c in value)
        {
            if (c is (< ' ' and not '\t') or '\x7f' or > '\xff')
                return false;
        }

        return true;
    }

    /// <summary>Puts fields on a client's answer.</summary>
    public static void CopyTo(HttpResponse response, IReadOnlyList<KeyValuePair<string, string>> headers)
    {
        foreach (var (name, value) in headers)
        {
            // Append leaves out what is empty, which is not the same as absent.
            if (value.Length == 0 && !response.Headers.ContainsKey(name))
                response.Headers[name] = value;
            else
                response.Headers.Append(name, value);
        }
    }
}
