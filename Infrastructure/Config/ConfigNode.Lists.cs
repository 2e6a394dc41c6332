using System.Collections.Immutable;

namespace Discobot.Infrastructure.Config;

/// <summary>Lists. An absent list gives the fallback, an empty one is empty.</summary>
internal sealed partial class ConfigNode
{
    /// <summary>A list whose items are read by <paramref name="item"/>, which tells its own errors and then gives null.</summary>
    public ImmutableArray<T> AsList<T>(ImmutableArray<T> fallback, Func<ConfigNode, T?> item) where T : class
    {
        if (IsAbsent)
            return fallback;
        var list = ImmutableArray.CreateBuilder<T>();
        foreach (var node in Items())
        {
            if (node.IsAbsent)
                node.Error("must not be empty");
            else if (item(node) is { } value)
                list.Add(value);
        }

        return list.ToImmutable();
    }

    /// <summary>A list of texts.</summary>
    /// <param name="fallback">What holds when nothing is written.</param>
    /// <param name="problem">What is wrong with an item and what is allowed; null when it is good.</param>
    public ImmutableArray<string> AsStrings(ImmutableArray<string> fallback, Func<string, string?>? problem = null) =>
        AsList(fallback, node =>
        {
            if (node.AsString() is not { } text)
                return null;
            if (problem?.Invoke(text) is not { } wrong)
                return text;
            node.Error(wrong);
            return null;
        });
}
