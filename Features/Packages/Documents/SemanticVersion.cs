using System.Diagnostics.CodeAnalysis;

namespace Discobot.Features.Packages.Documents;

/// <summary>A version of npm's (semver.org, 2.0.0), for its order.</summary>
internal sealed class SemanticVersion : IComparable<SemanticVersion>
{
    private const int MaxLength = 256;

    private readonly ulong[] _numbers;
    private readonly string[] _prerelease;

    private SemanticVersion(ulong[] numbers, string[] prerelease) => (_numbers, _prerelease) = (numbers, prerelease);

    public ulong Major => _numbers[0];

    public bool IsPrerelease => _prerelease.Length > 0;

    /// <summary>What its line of prereleases is called, as <c>beta</c> of <c>1.0.0-beta.2</c>; empty of a release.</summary>
    public string Line => IsPrerelease ? _prerelease[0] : "";

    public static bool TryParse(string text, [NotNullWhen(true)] out SemanticVersion? version)
    {
        version = null;
        if (text.Length is 0 or > MaxLength)
            return false;
        var core = text.Split('+', 2)[0];
        var dash = core.IndexOf('-', StringComparison.Ordinal);
        var parts = (dash < 0 ? core : core[..dash]).Split('.');
        if (parts.Length != 3)
            return false;
        var numbers = new ulong[3];
        for (var i = 0; i < 3; i++)
        {
            if (!IsNumber(parts[i]) || !ulong.TryParse(parts[i], out numbers[i]))
                return false;
        }

        string[] prerelease = dash < 0 ? [] : core[(dash + 1)..].Split('.');
        if (prerelease.Any(p => p.Length == 0 || !p.All(c => char.IsAsciiLetterOrDigit(c) || c == '-')))
            return false;
        version = new SemanticVersion(numbers, prerelease);
        return true;
    }

    public int CompareTo(SemanticVersion? other)
    {
        if (other is null)
            return 1;
        for (var i = 0; i < 3; i++)
        {
            if (_numbers[i] != other._numbers[i])
                return _numbers[i].CompareTo(other._numbers[i]);
        }

        if (IsPrerelease != other.IsPrerelease)
            return IsPrerelease ? -1 : 1;
        for (var i = 0; i < Math.Min(_prerelease.Length, other._prerelease.Length); i++)
        {
            var order = CompareIdentifiers(_prerelease[i], other._prerelease[i]);
            if (order != 0)
                return order;
        }

        return _prerelease.Length.CompareTo(other._prerelease.Length);
    }

    // Numbers by their value, and below all words.
    private static int CompareIdentifiers(string a, string b) => (IsNumber(a), IsNumber(b)) switch
    {
        (true, true) => Significant(a).Length != Significant(b).Length ? Significant(a).Length.CompareTo(Significant(b).Length) : string.CompareOrdinal(Significant(a), Significant(b)),
        (true, false) => -1,
        (false, true) => 1,
        _ => string.CompareOrdinal(a, b),
    };

    private static string Significant(string number) => number.TrimStart('0');

    private static bool IsNumber(string text) => text.Length > 0 && text.All(char.IsAsciiDigit);
}
