using System.Globalization;
using System.Net.Sockets;

namespace Discobot.Features.Init.Docker;

/// <summary>Where a Docker daemon listens, as <c>--host</c> and <c>hosts</c> in daemon.json name it (dockerd(8)).</summary>
/// <param name="Socket">The path of a Unix socket; null for TCP.</param>
/// <param name="Host">For TCP.</param>
/// <param name="Port">For TCP.</param>
internal sealed record DockerEndpoint(string? Socket, string Host = "", int Port = 0)
{
    private const int PlainPort = 2375;
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(2);

    /// <summary>Reads a host; null for those that cannot be asked (<c>fd://</c>, <c>npipe://</c>).</summary>
    public static DockerEndpoint? Parse(string text)
    {
        var (scheme, rest) = text.IndexOf("://", StringComparison.Ordinal) is var at and >= 0 ? (text[..at], text[(at + 3)..]) : ("tcp", text);
        if (scheme == "unix")
            return new DockerEndpoint(rest.Length == 0 ? "/var/run/docker.sock" : rest);
        if (scheme != "tcp")
            return null;
        rest = rest.Split('/')[0];
        var colon = rest.LastIndexOf(':');
        var hasPort = colon >= 0 && !rest.EndsWith(']');
        var host = (hasPort ? rest[..colon] : rest).Trim('[', ']');
        var port = hasPort && int.TryParse(rest[(colon + 1)..], NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : PlainPort;
        return new DockerEndpoint(null, host switch { "" or "0.0.0.0" => "127.0.0.1", "::" => "::1", _ => host }, port);
    }

    /// <summary>
    /// Whether somebody listens. For a socket everything but "refused" and "not there" is a yes: one whose owner is too busy to answer, or
    /// who may not be asked, is somebody's all the same.
    /// </summary>
    public async Task<bool> IsServedAsync(CancellationToken cancellationToken)
    {
        if (Socket is not null && !Path.Exists(Socket))
            return false;
        try
        {
            using var socket = await ConnectAsync(cancellationToken);
            await AskAsync(socket, cancellationToken);
            return true;
        }
        catch (SocketException error)
        {
            return Socket is not null && error.SocketErrorCode != SocketError.ConnectionRefused;
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return true;
        }
    }

    /// <summary>Whether a daemon serves there. A socket accepts long before the daemon does, and before it knows whether it can.</summary>
    /// <param name="byTls">Then that it accepts is all that can be known here.</param>
    /// <param name="cancellationToken">Ends the question.</param>
    public async Task<bool> AnswersAsync(bool byTls, CancellationToken cancellationToken)
    {
        try
        {
            using var socket = await ConnectAsync(cancellationToken);
            if (byTls && Socket is null)
                return true;
            return await AskAsync(socket, cancellationToken);
        }
        catch (SocketException)
        {
            return false;
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return false;
        }
    }

    public override string ToString() => Socket ?? $"tcp://{(Host.Contains(':', StringComparison.Ordinal) ? $"[{Host}]" : Host)}:{Port}";

    // Whoever serves is asked a question that it knows, not left with a connection that says nothing.
    private static async Task<bool> AskAsync(Socket socket, CancellationToken cancellationToken)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(Limit);
        await socket.SendAsync("GET /_ping HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n\r\n"u8.ToArray(), limit.Token);
        var answer = new byte[4096];
        var length = await socket.ReceiveAsync(answer, limit.Token);
        return answer.AsSpan(0, length).StartsWith("HTTP/1.1 200"u8);
    }

    private async Task<Socket> ConnectAsync(CancellationToken cancellationToken)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(Limit);
        var socket = Socket is null ? new Socket(SocketType.Stream, ProtocolType.Tcp) : new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            if (Socket is { } path)
                await socket.ConnectAsync(new UnixDomainSocketEndPoint(path), limit.Token);
            else
                await socket.ConnectAsync(Host, Port, limit.Token);
            return socket;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }
}
