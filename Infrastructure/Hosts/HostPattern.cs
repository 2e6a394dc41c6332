using System.Diagnostics.CodeAnalysis;

namespace Discobot.Infrastructure.Hosts;

/// <summary>The shapes a pattern can have.</summary>
internal enum HostPatternKind
{
    /// <summary><c>*</c>: every host.</summary>
    Any,

    /// <summary><c>api.*</c>: the name begins with these labels.</summary>
    Prefix,

    /// <summary><c>*.example.com</c>: every name below, at any depth.</summary>
    Suffix,

    /// <summary><c>example.com</c> or an address.</summary>
    Exact,
}

/// <summary>
/// One pattern for hosts as users write it. <c>*.example.com</c> means the names below example.com at any depth and not example.com
/// itself, as in certificates and in PAC files: who wants both writes both. Wildcards other than <c>*</c> never match address literals:
/// <c>10.*</c> is a name that begins with 10, not a network.
/// </summary>
internal sealed class HostPattern
{
    /// <summary>What may be written, for error messages.</summary>
    public const string Allowed = "\"*\", \"example.com\", \"*.example.com\" or \"api.*\"";

    private HostPattern(HostPatternKind kind, string name, string text) => (Kind, Name, Text) = (kind, name, text);

    public HostPatternKind Kind { get; }

    /// <summary>The canonical name without the wildcard: <c>example.com</c> for <c>*.example.com</c>; empty for <c>*</c>.</summary>
    public string Name { get; }

    /// <summary>As the user wrote it.</summary>
    public string Text { get; }

    /// <summary>Reads a pattern; names may be IDN or upper case.</summary>
    public static bool TryParse(string text, [NotNullWhen(true)] out HostPattern? pattern)
    {
        pattern = null;
        if (text == "*")
        {
            pattern = new HostPattern(HostPatternKind.Any, "", text);
            return true;
        }

        var kind = text.StartsWith("*.", StringComparison.Ordinal) ? HostPatternKind.Suffix
            : text.EndsWith(".*", StringComparison.Ordinal) ? HostPatternKind.Prefix : HostPatternKind.Exact;
        var rest = kind switch
        {
            HostPatternKind.Suffix => text[2..],
            // The dummy label keeps "10.*" from being read as the address 0.0.0.10.
            HostPatternKind.Prefix => string.Concat(text.AsSpan(0, text.Length - 1), "x"),
            _ => text,
        };
        if (!CanonicalHost.TryParse(rest, out var host) || (kind != HostPatternKind.Exact && host.IsLiteral))
            return false;
        pattern = new HostPattern(kind, kind == HostPatternKind.Prefix ? host.Name[..^2] : host.Name, text);
        return true;
    }

    public bool Matches(in CanonicalHost host) => Kind switch
    {
        HostPatternKind.Any => true,
        HostPatternKind.Exact => host.Name == Name,
        HostPatternKind.Suffix => !host.IsLiteral && EndsBelow(host.Name, Name),
        _ => !host.IsLiteral && host.Name.Length > Name.Length + 1 && host.Name[Name.Length] == '.'
            && host.Name.StartsWith(Name, StringComparison.Ordinal),
    };

    /// <summary>Orders the more specific first: exact, then the longer wildcard, then <c>*</c>. Equal ones keep the file's order.</summary>
    public static int CompareSpecificity(HostPattern a, HostPattern b)
    {
        var exact = (b.Kind == HostPatternKind.Exact).CompareTo(a.Kind == HostPatternKind.Exact);
        return exact != 0 ? exact : b.Name.Length.CompareTo(a.Name.Length);
    }

    public override string ToString() => Text;

    private static bool EndsBelow(string name, string parent) =>
        name.Length > parent.Length + 1 && name[name.Length - parent.Length - 1] == '.' && name.EndsWith(parent, StringComparison.Ordinal);
}
