namespace Discobot.Infrastructure.Config;

/// <summary>Finds what the user probably meant.</summary>
internal static class NearestWord
{
    /// <summary>The message for a word that is not among the known ones.</summary>
    public static string Unknown(string what, string word, IEnumerable<string> known)
    {
        var all = known.Order(StringComparer.Ordinal).ToList();
        return $"unknown {what}{Suggestion(word, all)}; known here: {string.Join(", ", all)}";
    }

    /// <summary><c>; did you mean "port"?</c>, or nothing when no known word is near.</summary>
    public static string Suggestion(string word, IEnumerable<string> known)
    {
        var best = known.Select(k => (Word: k, Distance: Distance(word, k))).OrderBy(k => k.Distance).FirstOrDefault();
        return best.Word is not null && best.Distance <= Math.Max(2, best.Word.Length / 3) && best.Distance < best.Word.Length
            ? $"; did you mean \"{best.Word}\"?"
            : "";
    }

    /// <summary>How many letters to insert, delete, replace or swap with their neighbour (Damerau, optimal string alignment), without case.</summary>
    internal static int Distance(string a, string b)
    {
        if (a.Length > 64 || b.Length > 64)
            return int.MaxValue;
        var cost = new int[a.Length + 1, b.Length + 1];
        for (var i = 0; i <= a.Length; i++)
            cost[i, 0] = i;
        for (var j = 0; j <= b.Length; j++)
            cost[0, j] = j;
        for (var i = 1; i <= a.Length; i++)
        {
            for (var j = 1; j <= b.Length; j++)
            {
                var same = Same(a[i - 1], b[j - 1]) ? 0 : 1;
                cost[i, j] = Math.Min(Math.Min(cost[i - 1, j] + 1, cost[i, j - 1] + 1), cost[i - 1, j - 1] + same);
                if (i > 1 && j > 1 && Same(a[i - 1], b[j - 2]) && Same(a[i - 2], b[j - 1]))
                    cost[i, j] = Math.Min(cost[i, j], cost[i - 2, j - 2] + 1);
            }
        }

        return cost[a.Length, b.Length];
    }

    private static bool Same(char a, char b) => char.ToLowerInvariant(a) == char.ToLowerInvariant(b);
}
