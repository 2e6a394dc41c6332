using System.Net;
using System.Net.Sockets;

namespace Discobot.Infrastructure.Wire;

/// <summary>Opens TCP connections: resolves once, asks the policy about each address, and dials that very address, so that a name
/// cannot be rebound between the check and the connection; or goes through a parent proxy, where there is one.</summary>
internal sealed partial class Dialer(IEgressPolicy policy, OwnListeners own, ParentProxies parents)
{
    /// <summary>How long one address may take while others are left to try (matches curl's happy-eyeballs fallback in spirit).</summary>
    private static readonly TimeSpan PerAddress = TimeSpan.FromSeconds(5);

    /// <summary>Connects to the first address of <paramref name="target"/> that is permitted and answers.</summary>
    /// <param name="target">Host and port.</param>
    /// <param name="scheme">What will be spoken, <c>http</c> or <c>https</c>, which decides about the parent proxy; tunnels count as <c>https</c>.</param>
    /// <param name="cancellation">The caller's limit.</param>
    /// <exception cref="DialRefusedException">Every address is forbidden by the policy, or is one of our own listeners.</exception>
    /// <exception cref="ParentProxyException">The parent proxy failed.</exception>
    /// <exception cref="SocketException">The name does not resolve, or no address answers.</exception>
    public async Task<DialledSocket> ConnectAsync(ConnectTarget target, string scheme, CancellationToken cancellation) =>
        parents.For(scheme, target) is { } parent
            ? new DialledSocket(await ConnectThroughAsync(parent, target, cancellation), null)
            : await ConnectAsync(target, address => policy.JudgeAddress(target, address), cancellation);

    private async Task<DialledSocket> ConnectAsync(ConnectTarget target, Func<IPAddress, EgressVerdict> judge, CancellationToken cancellation)
    {
        var addresses = IPAddress.TryParse(target.Host, out var literal)
            ? [literal]
            : await Dns.GetHostAddressesAsync(target.Host, cancellation);
        Exception? failure = null;
        for (var i = 0; i < addresses.Length; i++)
        {
            var verdict = judge(addresses[i]);
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
            throw Loop(address.ToString());
        var socket = new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        if (more)
            limit.CancelAfter(PerAddress);
        try
        {
            await socket.ConnectAsync(address, limit.Token);
            // A machine's own non-loopback address: the kernel then uses it on both ends.
            if (socket.LocalEndPoint is IPEndPoint local && local.Address.Equals(address.Address) && own.HasPort(address.Port))
                throw Loop(address.ToString());
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

    private static DialRefusedException Loop(string address) => new(new ProxyError(
        508, "loop", $"{address} is this proxy itself; the request was refused instead of going round in circles. Address the service directly."));
}

/// <summary>A connection to an upstream.</summary>
/// <param name="Socket">Connected; whoever dialled disposes it.</param>
/// <param name="Address">The address that was judged and dialled; null behind a parent proxy, which resolves the name itself.</param>
internal readonly record struct DialledSocket(Socket Socket, IPAddress? Address);
