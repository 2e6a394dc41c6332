using System.Collections.Immutable;
using System.Text.Json;
using Discobot.Infrastructure.Config;

namespace Discobot.Features.Allowlist;

/// <summary>One parameter of an entry's <c>query</c>. Which others there are does not count.</summary>
/// <param name="Name">Compared as it is written; what some servers take for it has to match as well: what differs from it in case alone, is an array of that name, has brackets
/// or blanks around it, or has other separators in it.</param>
/// <param name="Values">One of these; <c>*</c> is any text.</param>
internal sealed record QueryParameter(string Name, ImmutableArray<string> Values)
{
    private readonly string _name = RequestQuery.Octets(Name);
    private readonly string _plain = Plain(RequestQuery.Octets(Name));
    private readonly ImmutableArray<string> _values = [.. Values.Select(RequestQuery.Octets)];

    private static readonly char[] Around = ['[', ']', ' ', '\u0085', '\u00a0'];

    /// <summary>Reads <c>{name: value, name: [value, value]}</c>.</summary>
    public static ImmutableArray<QueryParameter> Read(ConfigNode node)
    {
        var parameters = ImmutableArray.CreateBuilder<QueryParameter>();
        foreach (var (name, value) in node.Entries())
        {
            if (value.IsAbsent || (value.IsList && !value.Items().Any()))
                value.Error("must be a value or a list of them, in which * is any text");
            parameters.Add(new QueryParameter(name, value.AsStrings([])));
        }

        return parameters.ToImmutable();
    }

    /// <summary>Whether it is there and has one of the values, however the query is read.</summary>
    public bool Matches(RequestQuery query) => query.IsClear
        && query.Readings.All(reading => reading.Any(p => p.Name == _name) && reading.Where(IsIt).All(p => HasValue(p.Value)));

    /// <summary>Whether somebody may read it as being there with one of the values.</summary>
    public bool MayMatch(RequestQuery query) => !query.IsClear || query.Readings.Any(reading => reading.Any(p => IsIt(p) && HasValue(p.Value)));

    /// <summary>Whether all that another one matches is matched by this.</summary>
    public bool Covers(QueryParameter other) => Name == other.Name && other.Values.All(value => Values.Contains(value) || Values.Contains("*"));

    /// <summary>As it stands in the file.</summary>
    public override string ToString() => $"\"{Name}\": [{string.Join(", ", Values.Select(v => $"\"{v}\""))}]";

    public void Write(Utf8JsonWriter json) => json.WriteList(Name, Values);

    // An array, or a field of one, is a value of what is in front of its first bracket.
    private bool IsIt((string Name, string Value) parameter)
    {
        var name = parameter.Name.AsSpan().TrimStart(Around);
        return Plain(parameter.Name).Equals(_plain, StringComparison.OrdinalIgnoreCase)
            || (name.IndexOfAny('[', ']') is > 0 and var bracket && Plain(name[..bracket].ToString()).Equals(_plain, StringComparison.OrdinalIgnoreCase));
    }

    // PHP makes a low line of what may not stand in the name of a variable, and qs takes [a][b], a[b] and a.b for the same.
    private static string Plain(string name) => new([.. name.Trim(Around).Where(c => c != ']').Select(c => c is '.' or ' ' or '[' ? '_' : c)]);

    private bool HasValue(string value) => _values.Any(pattern => IsLike(pattern, value));

    // A star takes as little as will do, and more where that was too little.
    private static bool IsLike(string pattern, string text)
    {
        var (p, t, star, resumed) = (0, 0, -1, 0);
        while (t < text.Length)
        {
            if (p < pattern.Length && pattern[p] == '*')
                (star, resumed) = (p++, t);
            else if (p < pattern.Length && pattern[p] == text[t])
                (p, t) = (p + 1, t + 1);
            else if (star >= 0)
                (p, t) = (star + 1, ++resumed);
            else
                return false;
        }

        return pattern.AsSpan(p).TrimStart('*').IsEmpty;
    }
}
