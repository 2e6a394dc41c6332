using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Discobot.Infrastructure.Wire.Dialling;

/// <summary>The client's side of SOCKS5 (RFC 1928, 1929).</summary>
internal static partial class ParentTunnel
{
    private const byte Version = 5;
    private const byte NoAuthentication = 0;
    private const byte UserPassword = 2;

    private static async Task SocksAsync(Socket socket, ParentAddress parent, ConnectTarget target, CancellationToken cancellation)
    {
        byte[] greeting = parent.Credentials is null ? [Version, 1, NoAuthentication] : [Version, 2, NoAuthentication, UserPassword];
        var chosen = await AskAsync(socket, greeting, 2, cancellation);
        if (chosen[0] != Version)
            throw ParentProxyException.Malformed(parent);
        if (chosen[1] == UserPassword && parent.Credentials is not null)
        {
            var (user, password) = parent.SplitCredentials();
            var admitted = await AskAsync(socket, [1, (byte)user.Length, .. user, (byte)password.Length, .. password], 2, cancellation);
            if (admitted[1] != 0)
                throw ParentProxyException.Unauthorized(parent);
        }
        else if (chosen[1] != NoAuthentication)
        {
            throw ParentProxyException.Unauthorized(parent);
        }

        byte[] port = [(byte)(target.Port >> 8), (byte)target.Port];
        var reply = await AskAsync(socket, [Version, 1, 0, .. AddressOf(target.Host), .. port], 4, cancellation);
        if (reply[0] != Version)
            throw ParentProxyException.Malformed(parent);
        if (reply[1] != 0)
            throw ParentProxyException.Of("parent_refused", parent, $"answered \"{Meaning(reply[1])}\" when asked for {target}");
        await SkipAddressAsync(socket, reply[3], parent, cancellation);
    }

    private static byte[] AddressOf(string host)
    {
        if (!IPAddress.TryParse(host, out var address))
            return [3, (byte)host.Length, .. Encoding.ASCII.GetBytes(host)];
        return [(byte)(address.AddressFamily == AddressFamily.InterNetwork ? 1 : 4), .. address.GetAddressBytes()];
    }

    // BND.ADDR and BND.PORT: of no use to us.
    private static async Task SkipAddressAsync(Socket socket, byte type, ParentAddress parent, CancellationToken cancellation)
    {
        var length = type switch
        {
            1 => 4,
            4 => 16,
            3 => (await AskAsync(socket, [], 1, cancellation))[0],
            _ => throw ParentProxyException.Malformed(parent),
        };
        await AskAsync(socket, [], length + 2, cancellation);
    }

    private static async Task<byte[]> AskAsync(Socket socket, byte[] message, int answer, CancellationToken cancellation)
    {
        await SendAsync(socket, message, cancellation);
        var bytes = new byte[answer];
        await ReceiveAsync(socket, bytes, cancellation);
        return bytes;
    }

    private static string Meaning(byte reply) => reply switch
    {
        2 => "not allowed",
        3 => "network unreachable",
        4 => "host unreachable",
        5 => "connection refused",
        6 => "TTL expired",
        _ => $"failure {reply}",
    };
}
