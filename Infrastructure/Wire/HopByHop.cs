using System.Collections.Frozen;
using Microsoft.Extensions.Primitives;

namespace Discobot.Infrastructure.Wire;

/// <summary>Header fields that belong to one connection and end at it (RFC 9110, 7.6.1). What a server says of a proxy's authentication is no such field: a
/// parent's is dealt with where it is spoken to, and an origin's belongs to the client that asked it.</summary>
internal static class HopByHop
{
    private static readonly FrozenSet<string> Names = new[]
    {
        "Connection", "Keep-Alive", "Proxy-Connection", "Proxy-Authorization",
        "TE", "Trailer", "Transfer-Encoding", "Upgrade", "HTTP2-Settings",
    }.ToFrozenSet(StringComparer.OrdinalIgnoreCase);

    /// <summary>The protocols that a message offers (RFC 9110, 7.8), without HTTP/2: that is begun in another way, and read by nobody on an upgraded connection.</summary>
    /// <param name="connection">Its Connection.</param>
    /// <param name="upgrade">Its Upgrade.</param>
    /// <returns>Null: none.</returns>
    public static string? Offers(string connection, string upgrade)
    {
        if (upgrade.Length == 0 || !connection.Split(',', StringSplitOptions.TrimEntries).Contains("upgrade", StringComparer.OrdinalIgnoreCase))
            return null;
        var protocols = upgrade.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries)
            .Where(p => !p.Equals("h2c", StringComparison.OrdinalIgnoreCase) && !p.Equals("h2", StringComparison.OrdinalIgnoreCase));
        return string.Join(", ", protocols) is { Length: > 0 } left ? left : null;
    }

    public static bool Contains(string name) => Names.Contains(name);

    /// <summary>The further fields that a Connection header names. <c>close</c>, <c>keep-alive</c> and <c>upgrade</c> are no fields.</summary>
    public static IEnumerable<string> NamedBy(StringValues connection)
    {
        foreach (var value in connection)
        {
            foreach (var name in (value ?? "").Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
            {
                if (!name.Equals("close", StringComparison.OrdinalIgnoreCase) && !Contains(name))
                    yield return name;
            }
        }
    }
}
