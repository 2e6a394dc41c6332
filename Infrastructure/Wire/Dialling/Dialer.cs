using System.Net;
using System.Net.Sockets;

namespace Discobot.Infrastructure.Wire.Dialling;

/// <summary>Opens TCP connections: resolves once, asks the policy about each address, and dials that very address, so that a name
/// cannot be rebound between the check and the connection; or goes through a parent proxy, where there is one.</summary>
internal sealed partial class Dialer(IEgressPolicy policy, OwnListeners own, ParentProxies parents, NameLookups names)
{
    /// <summary>How long the addresses of a host may take, all together.</summary>
    private static readonly TimeSpan DialLimit = TimeSpan.FromSeconds(15);

    /// <summary>Connects to the first address of <paramref name="target"/> that is permitted and answers.</summary>
    /// <param name="target">Host and port.</param>
    /// <param name="scheme">What will be spoken, <c>http</c> or <c>https</c>, which decides about the parent proxy; tunnels count as <c>https</c>.</param>
    /// <param name="cancellation">The caller's limit.</param>
    /// <exception cref="DialRefusedException">Every address is forbidden by the policy, or is one of our own listeners.</exception>
    /// <exception cref="ParentProxyException">The parent proxy failed.</exception>
    /// <exception cref="SocketException">The name does not resolve, or no address answers.</exception>
    public async Task<DialledSocket> ConnectAsync(ConnectTarget target, string scheme, CancellationToken cancellation) =>
        parents.For(scheme, target) is { } parent
            ? await ConnectThroughAsync(parent, target, cancellation)
            : await ConnectAsync(target, address => policy.JudgeAddress(target, address), cancellation);

    private async Task<DialledSocket> ConnectAsync(ConnectTarget target, Func<IPAddress, EgressVerdict> judge, CancellationToken cancellation)
    {
        var started = TimeProvider.System.GetTimestamp();
        var addresses = IPAddress.TryParse(target.Host, out var literal) ? [literal] : await names.ResolveAsync(target.Host, cancellation);
        TimeSpan? named = literal is null ? TimeProvider.System.GetElapsedTime(started) : null;
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        limit.CancelAfter(DialLimit);
        try
        {
            var dialled = await AddressRace.RunAsync(addresses, (address, stop) => DialAsync(address, target.Port, judge, stop), TimeProvider.System, limit.Token);
            return dialled with { Dns = named, Connect = TimeProvider.System.GetElapsedTime(started) - (named ?? TimeSpan.Zero) };
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            throw new SocketException((int)SocketError.TimedOut);
        }
    }

    private async Task<DialledSocket> DialAsync(IPAddress ip, int port, Func<IPAddress, EgressVerdict> judge, CancellationToken cancellation)
    {
        var verdict = judge(ip);
        if (!verdict.Allowed)
            throw new DialRefusedException(ProxyError.Blocked(verdict));
        var address = new IPEndPoint(ip, port);
        if (own.Contains(address))
            throw Loop(address.ToString());
        var socket = new Socket(ip.AddressFamily, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            await socket.ConnectAsync(address, cancellation);
            // A machine's own non-loopback address: the kernel then uses it on both ends.
            if (socket.LocalEndPoint is IPEndPoint local && local.Address.Equals(ip) && own.HasPort(port))
                throw Loop(address.ToString());
            KeepAlive.Use(socket);
            return new DialledSocket(socket, ip);
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
internal readonly record struct DialledSocket(Socket Socket, IPAddress? Address)
{
    /// <summary>How long the name took; null where none was resolved.</summary>
    public TimeSpan? Dns { get; init; }

    /// <summary>How long it took until the connection was there, without the name.</summary>
    public TimeSpan Connect { get; init; }

    public ConnectionTimes Times => new(Address, Dns, Connect);
}
