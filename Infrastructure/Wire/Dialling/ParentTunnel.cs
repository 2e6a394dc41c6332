using System.Globalization;
using System.Net.Sockets;
using System.Text;

namespace Discobot.Infrastructure.Wire.Dialling;

/// <summary>Asks a parent proxy, over a connection just made, to lead on to a host. Not a byte of the tunnel's own is consumed.</summary>
internal static partial class ParentTunnel
{
    /// <summary>Upper limit of the answer's head in bytes.</summary>
    private const int MaxHead = 16 * 1024;

    /// <exception cref="ParentProxyException">It says no, or nothing that could be understood.</exception>
    /// <exception cref="IOException">It broke off.</exception>
    public static Task OpenAsync(Socket socket, ParentAddress parent, ConnectTarget target, CancellationToken cancellation) =>
        parent.Kind == ParentKind.Http
            ? ConnectAsync(socket, parent, target, cancellation)
            : SocksAsync(socket, parent, target, cancellation);

    /// <summary>The value of Proxy-Authorization (RFC 7617), or null when there are no credentials.</summary>
    public static string? Authorization(ParentAddress parent) =>
        parent.Credentials is { } credentials ? $"Basic {Convert.ToBase64String(Encoding.UTF8.GetBytes(credentials))}" : null;

    private static async Task ConnectAsync(Socket socket, ParentAddress parent, ConnectTarget target, CancellationToken cancellation)
    {
        // Credentials are sent unasked, as curl does: parents may close the connection with their 407.
        var authorization = Authorization(parent) is { } value ? $"Proxy-Authorization: {value}\r\n" : "";
        await SendAsync(socket, Encoding.ASCII.GetBytes($"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{authorization}\r\n"), cancellation);
        var head = await ReadHeadAsync(socket, cancellation) ?? throw ParentProxyException.Malformed(parent);
        // status-line = HTTP-version SP 3DIGIT SP [ reason-phrase ]   (RFC 9112, 4)
        if (!head.StartsWith("HTTP/1.", StringComparison.Ordinal) || head.Length < 12
            || !int.TryParse(head.AsSpan(9, 3), NumberStyles.None, CultureInfo.InvariantCulture, out var status))
            throw ParentProxyException.Malformed(parent);
        if (status is < 200 or > 299)
            throw ParentProxyException.Answered(parent, target, status);
    }

    // Looked at before it is taken: behind the empty line a server that speaks first may have begun.
    private static async Task<string?> ReadHeadAsync(Socket socket, CancellationToken cancellation)
    {
        var head = new byte[MaxHead];
        for (var length = 0; length < head.Length;)
        {
            var seen = await socket.ReceiveAsync(head.AsMemory(length), SocketFlags.Peek, cancellation);
            if (seen == 0)
                throw new IOException("it closed the connection");
            var end = head.AsSpan(0, length + seen).IndexOf("\r\n\r\n"u8);
            var taken = end < 0 ? seen : end + 4 - length;
            await ReceiveAsync(socket, head.AsMemory(length, taken), cancellation);
            length += taken;
            if (end >= 0)
                return Encoding.Latin1.GetString(head, 0, end);
        }

        return null;
    }

    private static async Task SendAsync(Socket socket, ReadOnlyMemory<byte> bytes, CancellationToken cancellation)
    {
        while (!bytes.IsEmpty)
            bytes = bytes[await socket.SendAsync(bytes, cancellation)..];
    }

    private static async Task ReceiveAsync(Socket socket, Memory<byte> bytes, CancellationToken cancellation)
    {
        while (!bytes.IsEmpty)
        {
            var count = await socket.ReceiveAsync(bytes, cancellation);
            if (count == 0)
                throw new IOException("it closed the connection");
            bytes = bytes[count..];
        }
    }
}
