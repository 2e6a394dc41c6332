using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace Discobot.Infrastructure.Wire;

/// <summary>Where a client wants to go: made by CONNECT, by SOCKS5 and by absolute-form requests alike.</summary>
/// <param name="Host">Lower-case name without trailing dot, or an IP literal without brackets.</param>
/// <param name="Port">1 to 65535.</param>
internal readonly record struct ConnectTarget(string Host, int Port)
{
    /// <summary>Parses an authority (RFC 9110, 4.3.1): <c>host:port</c>, <c>[v6]:port</c>, or without port where a default is given.</summary>
    /// <returns>False when the text is no authority; user information is refused.</returns>
    public static bool TryParse(ReadOnlySpan<char> authority, int? defaultPort, out ConnectTarget target)
    {
        target = default;
        if (authority.IsEmpty || authority.Contains('@'))
            return false;
        ReadOnlySpan<char> host;
        ReadOnlySpan<char> rest;
        if (authority[0] == '[')
        {
            var end = authority.IndexOf(']');
            if (end < 0 || !IPAddress.TryParse(authority[1..end], out var v6) || v6.AddressFamily != AddressFamily.InterNetworkV6)
                return false;
            host = authority[1..end];
            rest = authority[(end + 1)..];
        }
        else
        {
            var colon = authority.IndexOf(':');
            host = colon < 0 ? authority : authority[..colon];
            rest = colon < 0 ? default : authority[colon..];
            if (!IsHostName(host))
                return false;
        }

        var port = defaultPort ?? 0;
        if (!rest.IsEmpty && (rest[0] != ':' || rest.Length > 6
            || !int.TryParse(rest[1..], NumberStyles.None, CultureInfo.InvariantCulture, out port)))
            return false;
        if (port is < 1 or > 65535)
            return false;
        target = new ConnectTarget(Normalize(host), port);
        return true;
    }

    /// <summary>Lower case, one trailing dot removed: the form in which hosts are compared everywhere.</summary>
    public static string Normalize(ReadOnlySpan<char> host)
    {
        if (host.Length > 1 && host[^1] == '.')
            host = host[..^1];
        return host.ToString().ToLowerInvariant();
    }

    /// <summary>The authority as it stands in a URI: brackets around IPv6 literals.</summary>
    public override string ToString() => $"{(Host.Contains(':') ? $"[{Host}]" : Host)}:{Port}";

    // RFC 1123 names plus '_', which real names carry. At most 253 octets (RFC 1035, 2.3.4).
    private static bool IsHostName(ReadOnlySpan<char> host)
    {
        if (host.IsEmpty || host.Length > 254 || host[0] == '.')
            return false;
        foreach (var c in host)
        {
            if (!char.IsAsciiLetterOrDigit(c) && c is not ('-' or '.' or '_'))
                return false;
        }

        return !host.Contains("..", StringComparison.Ordinal);
    }
}
