namespace Discobot.Infrastructure.Hosts;

/// <summary>Whose name servers a name is most likely answered by.</summary>
internal static class NameZone
{
    /// <summary>The last two labels. Where a registry's own names have two (<c>co.uk</c>) it is one zone for all below it: that costs a share, no name.</summary>
    public static string Of(string name)
    {
        name = name.TrimEnd('.').ToLowerInvariant();
        var last = name.LastIndexOf('.');
        var before = last > 0 ? name.LastIndexOf('.', last - 1) : -1;
        return name[(before + 1)..];
    }
}
