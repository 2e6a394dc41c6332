using System.Globalization;
using Discobot.Infrastructure.Hosts;

namespace Discobot.Infrastructure.Wire;

/// <summary>Where a client wants to go: made by CONNECT, by SOCKS5 and by absolute-form requests alike.</summary>
/// <param name="Host">Canonical: a lower-case name without trailing dot, or an IP literal without brackets.</param>
/// <param name="Port">1 to 65535.</param>
internal readonly record struct ConnectTarget(string Host, int Port)
{
    /// <summary>For questions about a host whichever port is meant: names are asked for before one is known.</summary>
    public const int AnyPort = 0;

    /// <summary>Parses an authority (RFC 9110, 4.3.1): <c>host:port</c>, <c>[v6]:port</c>, or without port where a default is given.</summary>
    /// <returns>False when the text is no authority; user information is refused.</returns>
    public static bool TryParse(ReadOnlySpan<char> authority, int? defaultPort, out ConnectTarget target)
    {
        target = default;
        if (authority.IsEmpty || authority.Contains('@'))
            return false;
        // The colon that begins the port is the last one, outside brackets.
        var colon = authority[0] == '[' ? authority.IndexOf("]:") + 1 : authority.IndexOf(':');
        var host = colon > 0 ? authority[..colon] : authority;
        var rest = colon > 0 ? authority[colon..] : default;
        if ((host[0] != '[' && host.Contains(':')) || !CanonicalHost.TryParse(host.ToString(), out var canonical))
            return false;

        // A port may be empty, which means none, and have zeros in front (RFC 3986, 3.2.3).
        var port = defaultPort ?? 0;
        if (!rest.IsEmpty && (rest[0] != ':' || (rest.Length > 1 && !int.TryParse(rest[1..], NumberStyles.None, CultureInfo.InvariantCulture, out port))))
            return false;
        if (port is < 1 or > 65535)
            return false;
        target = new ConnectTarget(canonical.Name, port);
        return true;
    }

    /// <summary>The form in which hosts are compared everywhere: see <see cref="CanonicalHost"/>. What is no host stays as it is, in lower case.</summary>
    public static string Normalize(string host) =>
        CanonicalHost.TryParse(host, out var canonical) ? canonical.Name : host.ToLowerInvariant();

    /// <summary>The authority as it stands in a URI: brackets around IPv6 literals.</summary>
    public override string ToString() => $"{(Host.Contains(':') ? $"[{Host}]" : Host)}:{Port}";
}
