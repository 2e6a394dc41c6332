using System.Net;
using System.Net.Sockets;

namespace Discobot.Infrastructure.Wire;

/// <summary>Opens TCP connections: resolves once, asks the policy about each address, and dials that very address, so that a name
/// cannot be rebound between the check and the connection.</summary>
internal sealed class Dialer(IEgressPolicy policy, OwnListeners own)
{
    /// <summary>How long one address may take while others are left to try (matches curl's happy-eyeballs fallback in spirit).</summary>
    private static readonly TimeSpan PerAddress = TimeSpan.FromSeconds(5);

    /// <summary>Connects to the first address of <paramref name="target"/> that is permitted and answers.</summary>
    /// <exception cref="DialRefusedException">Every address is forbidden by the policy, or is one of our own listeners.</exception>
    /// <exception cref="SocketException">The name does not resolve, or no address answers.</exception>
    public async Task<DialledSocket> ConnectAsync(ConnectTarget target, CancellationToken cancellation)
    {
        var addresses = IPAddress.TryParse(target.Host, out var literal)
            ? [literal]
            : await Dns.GetHostAddressesAsync(target.Host, cancellation);
        Exception? failure = null;
        for (var i = 0; i < addresses.Length; i++)
        {
            var verdict = policy.JudgeAddress(target, addresses[i]);
            if (!verdict.Allowed)
            {
                failure ??= new DialRefusedException(ProxyError.Blocked(verdict));
                continue;
            }

            try
            {
                var more = i < addresses.Length - 1;
                return new DialledSocket(await ConnectAsync(new IPEndPoint(addresses[i], target.Port), more, cancellation), addresses[i]);
            }
            catch (SocketException e)
            {
                failure = e;
            }
        }

        throw failure ?? new SocketException((int)SocketError.NoData);
    }

    private async Task<Socket> ConnectAsync(IPEndPoint address, bool more, CancellationToken cancellation)
    {
        if (own.Contains(address))
            throw Loop(address);
        var socket = new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        if (more)
            limit.CancelAfter(PerAddress);
        try
        {
            await socket.ConnectAsync(address, limit.Token);
            // A machine's own non-loopback address: the kernel then uses it on both ends.
            if (socket.LocalEndPoint is IPEndPoint local && local.Address.Equals(address.Address) && own.HasPort(address.Port))
                throw Loop(address);
            return socket;
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            socket.Dispose();
            throw new SocketException((int)SocketError.TimedOut);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    private static DialRefusedException Loop(IPEndPoint address) => new(new ProxyError(
        508, "loop", $"{address} is this proxy itself; the request was refused instead of going round in circles. Address the service directly."));
}

/// <summary>A connection to an upstream.</summary>
/// <param name="Socket">Connected; whoever dialled disposes it.</param>
/// <param name="Address">The address that was judged and dialled.</param>
internal readonly record struct DialledSocket(Socket Socket, IPAddress? Address);

/// <summary>The addresses this process listens on: a request that would reach them is a loop (508).</summary>
internal sealed class OwnListeners(IReadOnlyCollection<IPEndPoint> endpoints)
{
    /// <summary>Whether connecting to <paramref name="address"/> would reach us. Any loopback address counts, whichever we are bound to.</summary>
    public bool Contains(IPEndPoint address)
    {
        var ip = address.Address.IsIPv4MappedToIPv6 ? address.Address.MapToIPv4() : address.Address;
        var toSelf = IPAddress.IsLoopback(ip) || ip.Equals(IPAddress.Any) || ip.Equals(IPAddress.IPv6Any);
        return endpoints.Any(e => e.Port == address.Port && (toSelf || e.Address.Equals(ip)));
    }

    public bool HasPort(int port) => endpoints.Any(e => e.Port == port);
}
