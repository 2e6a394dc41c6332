using System.Buffers.Binary;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using System.Text;

namespace Discobot.Tests.Fixtures;

/// <summary>An HTTP/2 client that sends whatever it is told, frame by frame (RFC 9113), inside an intercepted tunnel or with nothing between.</summary>
internal sealed class RawHttp2 : IAsyncDisposable
{
    public const byte Data = 0, Headers = 1, ResetStream = 3, Settings = 4, Ping = 6, GoAway = 7, Continuation = 9;
    public const byte EndStream = 1, EndHeaders = 4, Acknowledged = 1;

    private readonly TcpClient? _tcp;
    private readonly Stream _stream;

    private RawHttp2(TcpClient? tcp, Stream stream) => (_tcp, _stream) = (tcp, stream);

    /// <summary>CONNECT, TLS with h2, preface and SETTINGS.</summary>
    public static async Task<RawHttp2> OpenAsync(RunningProxy proxy, string authority)
    {
        var tcp = new TcpClient("127.0.0.1", proxy.Port) { NoDelay = true };
        await tcp.GetStream().WriteAsync(Encoding.ASCII.GetBytes($"CONNECT {authority} HTTP/1.1\r\n\r\n"));
        await tcp.GetStream().ReadExactlyAsync(new byte["HTTP/1.1 200 Connection established\r\n\r\n".Length]);
        return await BeginAsync(tcp, proxy.TrustOnlyOurCa());
    }

    /// <summary>The same to the server itself.</summary>
    public static Task<RawHttp2> OpenDirectlyAsync(TestAuthority authority, string server)
    {
        return BeginAsync(new TcpClient("127.0.0.1", int.Parse(server.Split(':')[1], System.Globalization.CultureInfo.InvariantCulture)) { NoDelay = true }, authority.TrustOnlyThis());
    }

    private static async Task<RawHttp2> BeginAsync(TcpClient tcp, X509ChainPolicy trust)
    {
        var tls = new SslStream(tcp.GetStream());
        await tls.AuthenticateAsClientAsync(new SslClientAuthenticationOptions
        {
            TargetHost = "localhost",
            ApplicationProtocols = [SslApplicationProtocol.Http2],
            CertificateChainPolicy = trust,
        });
        await tls.WriteAsync("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"u8.ToArray());
        var client = new RawHttp2(tcp, tls);
        await client.SendAsync(Settings, 0, 0, []);
        return client;
    }

    /// <summary>Over a connection on which the preface was sent.</summary>
    public static RawHttp2 Over(TcpClient tcp) => new(tcp, tcp.GetStream());

    /// <summary>The same, of whoever owns it.</summary>
    public static RawHttp2 Over(Stream stream) => new(null, stream);

    public async ValueTask DisposeAsync()
    {
        _tcp?.Close();
        await _stream.DisposeAsync();
    }

    public async Task SendAsync(byte type, int flags, int stream, byte[] payload) => await _stream.WriteAsync(Frame(type, flags, stream, payload));

    /// <summary>Many frames in one write. A connection that ends meanwhile shows in what is read.</summary>
    public async Task SendAsync(byte[] frames)
    {
        try
        {
            await _stream.WriteAsync(frames);
        }
        catch (IOException)
        {
            // OutcomeAsync tells.
        }
    }

    public static byte[] Frame(byte type, int flags, int stream, byte[] payload)
    {
        var frame = new byte[9 + payload.Length];
        (frame[0], frame[1], frame[2]) = ((byte)(payload.Length >> 16), (byte)(payload.Length >> 8), (byte)payload.Length);
        (frame[3], frame[4]) = (type, (byte)flags);
        BinaryPrimitives.WriteInt32BigEndian(frame.AsSpan(5), stream);
        payload.CopyTo(frame, 9);
        return frame;
    }

    /// <summary>HPACK literals without indexing (RFC 7541, 6.2.2), nothing compressed, nothing checked.</summary>
    public static byte[] Fields(params IEnumerable<(string Name, string Value)> fields)
    {
        var block = new List<byte>();
        foreach (var (name, value) in fields)
        {
            block.Add(0);
            AddText(block, name);
            AddText(block, value);
        }

        return [.. block];
    }

    /// <summary>What becomes of a stream: its status, <c>reset</c>, <c>goaway</c> or <c>closed</c>.</summary>
    public async Task<string> OutcomeAsync(int stream)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(10));
        while (await ReadAsync(limit.Token) is { } frame)
        {
            if (frame.Type == GoAway)
                return "goaway";
            if (frame.Stream == stream && frame.Type == ResetStream)
                return "reset";
            if (frame.Stream == stream && frame.Type == Headers && StatusOf(frame.Payload) is { } status)
                return status;
        }

        return "closed";
    }

    /// <summary>How a stream ends: <c>200</c> and the body, whatever its status, or how it was reset.</summary>
    public async Task<string> EndAsync(int stream, TimeSpan time)
    {
        using var limit = new CancellationTokenSource(time);
        var body = new StringBuilder();
        while (await ReadAsync(limit.Token) is { } frame)
        {
            if (frame.Type == GoAway)
                return "goaway";
            if (frame.Stream != stream)
                continue;
            if (frame.Type == ResetStream)
                return $"reset {frame.Payload[3]}";
            if (frame.Type == Data)
                body.Append(Encoding.ASCII.GetString(frame.Payload));
            if (frame.Type is Data or Headers && (frame.Flags & EndStream) != 0)
                return $"200 {body}";
        }

        return "closed";
    }

    /// <returns>Null at the end of the connection.</returns>
    public async Task<(byte Type, int Flags, int Stream, byte[] Payload)?> ReadAsync(CancellationToken cancellation)
    {
        try
        {
            var head = new byte[9];
            await _stream.ReadExactlyAsync(head, cancellation);
            var payload = new byte[head[0] << 16 | head[1] << 8 | head[2]];
            await _stream.ReadExactlyAsync(payload, cancellation);
            return (head[3], head[4], BinaryPrimitives.ReadInt32BigEndian(head.AsSpan(5)), payload);
        }
        catch (IOException)
        {
            return null;
        }
    }

    // :status comes first (RFC 9113, 8.3): an index of the static table, or its name's index and three digits.
    private static string? StatusOf(byte[] block)
    {
        var at = 0;
        while ((block[at] & 0xe0) == 0x20)
            at++;
        return block[at] switch
        {
            0x88 => "200",
            0x8c => "400",
            0x8d => "404",
            0x8e => "500",
            0 when block[at + 1] == 7 => Encoding.ASCII.GetString(block, at + 10, 3),
            0x08 or 0x48 when block[at + 1] == 3 => Encoding.ASCII.GetString(block, at + 2, 3),
            _ => null,
        };
    }

    private static void AddText(List<byte> block, string text)
    {
        var rest = text.Length;
        if (rest < 127)
        {
            block.Add((byte)rest);
        }
        else
        {
            block.Add(127);
            for (rest -= 127; rest >= 128; rest >>= 7)
                block.Add((byte)(rest | 128));
            block.Add((byte)rest);
        }

        block.AddRange(Encoding.Latin1.GetBytes(text));
    }
}
