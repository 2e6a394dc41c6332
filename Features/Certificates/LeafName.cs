using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Discobot.Features.Certificates;

/// <summary>The form of a host that goes into a certificate.</summary>
internal static class LeafName
{
    // Internationalised names arrive in Unicode from the TLS stack. Underscores are no DNS host syntax but real names carry them.
    private static readonly IdnMapping Idn = new() { AllowUnassigned = true, UseStd3AsciiRules = false };

    /// <summary>Lower case, A-labels (RFC 5890), no trailing dot, addresses without brackets and zone.</summary>
    /// <exception cref="ArgumentException">The host is empty or cannot be written in ASCII: no certificate could name it.</exception>
    public static string Canonical(string host)
    {
        var name = host.TrimEnd('.').Trim('[', ']').ToLowerInvariant();
        if (IPAddress.TryParse(name, out var address) && address.AddressFamily == AddressFamily.InterNetworkV6)
        {
            address.ScopeId = 0;
            return address.ToString();
        }

        if (!Ascii.IsValid(name))
            name = Idn.GetAscii(name).ToLowerInvariant();
        return name.Length > 0 ? name : throw new ArgumentException("an empty host has no certificate", nameof(host));
    }

    /// <summary>Whether a canonical host is an address. Short forms such as <c>127.1</c> are names here, as for most clients.</summary>
    public static bool IsAddress(string canonical, [NotNullWhen(true)] out IPAddress? address) =>
        IPAddress.TryParse(canonical, out address)
        && (address.AddressFamily == AddressFamily.InterNetworkV6 || address.ToString() == canonical);
}
