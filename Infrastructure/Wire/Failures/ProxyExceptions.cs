using System.Net;
using Discobot.Infrastructure.Hosts;

namespace Discobot.Infrastructure.Wire.Failures;

/// <summary>
/// The hosts that no parent proxy is asked for: NO_PROXY as curl and Go read it, and always this machine itself, which a parent would take
/// for its own.
/// </summary>
internal sealed class ProxyExceptions
{
    private readonly List<(string Name, int? Port)> _names = [];
    private readonly List<IpRange> _ranges = [];
    private bool _all;

    private ProxyExceptions()
    {
    }

    /// <summary>Reads a list of names (which include what is below them), addresses, CIDR ranges, each perhaps with a port, or <c>*</c>.</summary>
    /// <param name="text">Separated by commas or blanks. What is none of these is passed over, as everybody does.</param>
    public static ProxyExceptions Parse(string text)
    {
        var exceptions = new ProxyExceptions();
        foreach (var entry in text.Split([',', ' ', '\t'], StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
            exceptions.Add(entry);
        return exceptions;
    }

    /// <summary>Names are not resolved for this: a range says nothing about them.</summary>
    public bool Contains(ConnectTarget target)
    {
        var isLiteral = IPAddress.TryParse(target.Host, out var address);
        return _all
            || (isLiteral ? IsOwn(address!) : IsBelow(target.Host, "localhost"))
            || (isLiteral && _ranges.Any(range => range.Contains(address!)))
            || _names.Any(e => (e.Port ?? target.Port) == target.Port && (e.Name == target.Host || (!isLiteral && IsBelow(target.Host, e.Name))));
    }

    private void Add(string entry)
    {
        if (entry == "*")
        {
            _all = true;
            return;
        }

        var name = entry.StartsWith("*.", StringComparison.Ordinal) ? entry[2..] : entry.TrimStart('.');
        if (name.Contains('/', StringComparison.Ordinal) && IpRange.TryParse(name, out var range))
            _ranges.Add(range);
        else if (CanonicalHost.TryParse(name, out var host))
            _names.Add((host.Name, null));
        else if (ConnectTarget.TryParse(name, null, out var target))
            _names.Add((target.Host, target.Port));
    }

    private static bool IsOwn(IPAddress address) => SpecialAddresses.Classify(address) is AddressKind.Loopback or AddressKind.Unspecified;

    private static bool IsBelow(string name, string parent) => name == parent || name.EndsWith("." + parent, StringComparison.Ordinal);
}
