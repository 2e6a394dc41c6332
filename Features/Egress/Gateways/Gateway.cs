using System.Net;
using System.Net.Sockets;
using Discobot.Infrastructure.Wire;

namespace Discobot.Features.Egress.Gateways;

/// <summary>This process as the only way out of other machines' network: where in that network it serves what.</summary>
/// <param name="Options">As they were read.</param>
/// <param name="Inside">Our addresses in that network; at least one.</param>
internal sealed record Gateway(GatewayOptions Options, IReadOnlyList<InsideAddress> Inside)
{
    /// <summary>Looks for the addresses.</summary>
    /// <exception cref="IOException">There is none.</exception>
    public static Gateway Find(GatewayOptions options)
    {
        var inside = InsideAddresses.Find(options.Listen);
        if (inside.Count == 0)
        {
            throw new IOException(options.Listen.IsEmpty
                ? "this machine has no address but the loopback's: there is nobody to be a gateway for"
                : $"gateway.listen: this machine has no address in {string.Join(", ", options.Listen)}");
        }

        return new Gateway(options, inside);
    }

    /// <summary>Where connections arrive that are for a name which they tell.</summary>
    public IEnumerable<IPEndPoint> Named => Options.Routed ? [] : Options.Ports.SelectMany(At);

    /// <summary>Where questions for names are answered.</summary>
    public IEnumerable<IPEndPoint> Dns => At(Options.DnsPort);

    /// <summary>Every address inside, at a port.</summary>
    public IEnumerable<IPEndPoint> At(int port) => Inside.Select(inside => new IPEndPoint(inside.Address, port));

    /// <summary>The same beside what is listened on anyway; an address that those include is not taken twice.</summary>
    public IPEndPoint[] Beside(IPEndPoint[] listeners, int port) =>
        [.. listeners, .. At(port).Where(inside => !listeners.Any(other => other.Equals(inside) || other.Address.Equals(AnyOf(inside.AddressFamily))))];

    /// <summary>What a client is told to go to, whatever it asked for.</summary>
    /// <param name="asked">Our address that its question came to.</param>
    /// <param name="family">Of the address that it wants.</param>
    public IEnumerable<IPAddress> AnswersOf(IPAddress asked, AddressFamily family)
    {
        if (!Options.Addresses.IsEmpty)
            return Options.Addresses.Where(address => address.AddressFamily == family);
        if (asked.AddressFamily == family)
            return [asked];
        var link = Inside.FirstOrDefault(inside => inside.Address.Equals(asked))?.Interface;
        return Inside.Where(inside => inside.Interface == link && inside.Address.AddressFamily == family).Select(inside => inside.Address).Take(1);
    }

    private static IPAddress AnyOf(AddressFamily family) => family == AddressFamily.InterNetwork ? IPAddress.Any : IPAddress.IPv6Any;
}
