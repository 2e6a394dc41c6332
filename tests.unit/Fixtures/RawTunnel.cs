using System.Net.Security;
using System.Net.Sockets;
using System.Text;

namespace Discobot.Tests.Fixtures;

/// <summary>A tunnel with TLS inside, and messages in it that no client would send.</summary>
internal sealed class RawTunnel : IAsyncDisposable
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(20);
    private readonly TcpClient _tcp;
    private readonly SslStream _tls;

    private RawTunnel(TcpClient tcp, SslStream tls) => (_tcp, _tls) = (tcp, tls);

    /// <param name="opening">What the client sends first, CONNECT or SOCKS5; whatever is answered before the TLS handshake is read over.</param>
    /// <param name="answer">How long that answer is in bytes; null: an HTTP head.</param>
    /// <param name="host">Whom the client believes to talk to; SNI unless it is an address.</param>
    public static async Task<RawTunnel> OpenAsync(RunningProxy proxy, byte[] opening, int? answer, string host, SslApplicationProtocol protocol)
    {
        var tcp = new TcpClient("127.0.0.1", proxy.Port);
        await tcp.GetStream().WriteAsync(opening);
        if (answer is { } length)
            await tcp.GetStream().ReadExactlyAsync(new byte[length]).AsTask().WaitAsync(Limit);
        else
            Assert.StartsWith("HTTP/1.1 200 ", await HeadAsync(tcp.GetStream()), StringComparison.Ordinal);
        var tls = new SslStream(tcp.GetStream());
        await tls.AuthenticateAsClientAsync(new SslClientAuthenticationOptions
        {
            TargetHost = host,
            CertificateChainPolicy = proxy.TrustOnlyOurCa(),
            ApplicationProtocols = [protocol],
        }).WaitAsync(Limit);
        return new RawTunnel(tcp, tls);
    }

    public static Task<RawTunnel> ConnectAsync(RunningProxy proxy, string host, int port, SslApplicationProtocol protocol) =>
        OpenAsync(proxy, Encoding.ASCII.GetBytes($"CONNECT {host}:{port} HTTP/1.1\r\n\r\n"), null, host, protocol);

    /// <summary>Sends an HTTP/1.1 head as it is.</summary>
    /// <returns>The status of the answer.</returns>
    public async Task<int> AskAsync(string head)
    {
        await _tls.WriteAsync(Encoding.Latin1.GetBytes(head.ReplaceLineEndings("\r\n") + "\r\n\r\n"));
        return int.Parse((await HeadAsync(_tls)).Split(' ')[1], null);
    }

    /// <summary>Sends one HTTP/2 request of these fields, in this order.</summary>
    /// <returns>The status of the answer; 0 when the stream or the connection was ended instead.</returns>
    public async Task<int> AskHttp2Async(params (string Name, string Value)[] fields)
    {
        // Literal fields that are not indexed (RFC 7541, 6.2.2); END_STREAM and END_HEADERS (RFC 9113, 6.2).
        byte[] block = [.. fields.SelectMany(f => (byte[])[0, .. Text(f.Name), .. Text(f.Value)])];
        await _tls.WriteAsync((byte[])[.. "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"u8, .. Frame(4, 0, 0, []), .. Frame(1, 5, 1, block)]);
        while (true)
        {
            var head = new byte[9];
            await _tls.ReadExactlyAsync(head).AsTask().WaitAsync(Limit);
            var payload = new byte[head[0] << 16 | head[1] << 8 | head[2]];
            await _tls.ReadExactlyAsync(payload).AsTask().WaitAsync(Limit);
            if (head[3] is 3 or 7)
                return 0;
            if (head[3] == 1)
                return Status(payload);
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _tls.DisposeAsync();
        _tcp.Dispose();
    }

    private static byte[] Text(string text) => [(byte)text.Length, .. Encoding.Latin1.GetBytes(text)];

    private static byte[] Frame(byte type, byte flags, byte stream, byte[] payload) =>
        [0, (byte)(payload.Length >> 8), (byte)payload.Length, type, flags, 0, 0, 0, stream, .. payload];

    // :status comes first: from the static table (RFC 7541, A), or as text behind the index of its name.
    private static int Status(byte[] block) => block[0] switch
    {
        >= 0x88 and <= 0x8e => ((int[])[200, 204, 206, 304, 400, 404, 500])[block[0] - 0x88],
        _ => int.Parse(Encoding.ASCII.GetString(block, 2, 3), null),
    };

    private static async Task<string> HeadAsync(Stream stream)
    {
        var text = new StringBuilder();
        var one = new byte[1];
        while (!text.ToString().EndsWith("\r\n\r\n", StringComparison.Ordinal) && await stream.ReadAsync(one).AsTask().WaitAsync(Limit) == 1)
            text.Append((char)one[0]);
        return text.ToString();
    }
}
