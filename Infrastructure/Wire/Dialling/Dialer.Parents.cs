using System.Net;
using System.Net.Sockets;

namespace Discobot.Infrastructure.Wire.Dialling;

/// <summary>Dialling where a parent proxy leads on. It resolves the names, so only what is known here is judged: the name, or the literal.</summary>
internal sealed partial class Dialer
{
    /// <summary>Limit on reaching a parent and its answer to CONNECT or SOCKS5 together.</summary>
    private static readonly TimeSpan ParentLimit = TimeSpan.FromSeconds(10);

    /// <summary>Connects to a parent that is then sent requests in absolute-form.</summary>
    /// <exception cref="ParentProxyException">It cannot be reached.</exception>
    public Task<Socket> ConnectToParentAsync(ParentAddress parent, CancellationToken cancellation) =>
        ConnectToParentAsync(parent, static (_, _) => Task.CompletedTask, cancellation);

    /// <summary>What can be judged before a parent is asked for <paramref name="target"/>.</summary>
    /// <exception cref="DialRefusedException">The policy forbids it, or it leads back to us: through a parent that would go on for ever.</exception>
    public async Task JudgeBehindParentAsync(ConnectTarget target, CancellationToken cancellation)
    {
        var verdict = IPAddress.TryParse(target.Host, out var literal) ? policy.JudgeAddress(target, literal) : policy.JudgeTunnel(target, ProxyUsers.Anyone);
        if (!verdict.Allowed)
            throw new DialRefusedException(ProxyError.Blocked(verdict));
        if (await own.ContainsAsync(target, names, cancellation))
            throw Loop(target.ToString());
    }

    private async Task<DialledSocket> ConnectThroughAsync(ParentAddress parent, ConnectTarget target, CancellationToken cancellation)
    {
        await JudgeBehindParentAsync(target, cancellation);
        var started = TimeProvider.System.GetTimestamp();
        var socket = await ConnectToParentAsync(parent, (socket, limit) => ParentTunnel.OpenAsync(socket, parent, target, limit), cancellation);
        return new DialledSocket(socket, null) { Connect = TimeProvider.System.GetElapsedTime(started) };
    }

    private async Task<Socket> ConnectToParentAsync(
        ParentAddress parent, Func<Socket, CancellationToken, Task> greet, CancellationToken cancellation)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        limit.CancelAfter(ParentLimit);
        Socket? socket = null;
        try
        {
            socket = (await ConnectAsync(parent.Target, static _ => EgressVerdict.Allow("parent proxy"), limit.Token)).Socket;
            await greet(socket, limit.Token);
            return socket;
        }
        catch (Exception e)
        {
            socket?.Dispose();
            if (e is DialRefusedException or ParentProxyException || cancellation.IsCancellationRequested)
                throw;
            if (e is SocketException or IOException or OperationCanceledException)
                throw ParentProxyException.Unreachable(parent, e);
            throw;
        }
    }
}
