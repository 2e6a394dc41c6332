using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
using System.Net;

namespace Discobot.Infrastructure.Config;

/// <summary>Paths and addresses.</summary>
internal sealed partial class ConfigNode
{
    /// <summary>A path; a relative one is made absolute by the current directory.</summary>
    [return: NotNullIfNotNull(nameof(fallback))]
    public string? AsPath(string? fallback = null)
    {
        if (AsString() is not { } path)
            return fallback;
        if (!path.Any(char.IsControl))
            return System.IO.Path.GetFullPath(path);
        Error("must be a path, without control characters");
        return fallback;
    }

    /// <summary>A list of at least one IP address to listen on; <c>0.0.0.0</c> and <c>::</c> are all of a family.</summary>
    public ImmutableArray<IPAddress> AsAddresses(ImmutableArray<IPAddress> fallback)
    {
        var list = AsList(fallback, node =>
        {
            if (node.AsString() is not { } text)
                return null;
            if (IPAddress.TryParse(text, out var address) && (text.Contains(':') || text.Count(c => c == '.') == 3))
                return address;
            node.Error($"must be an IP address, as in 127.0.0.1 or ::1, not {ConfigPath.Quote(text)}");
            return null;
        });
        if (list.IsEmpty && IsList && _value!.Items.Count == 0)
            Error("must name at least one IP address");
        return list;
    }
}
