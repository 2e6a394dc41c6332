using System.Collections.Concurrent;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using System.Text;

namespace Discobot.Tests.Fixtures;

/// <summary>A server that says on each connection what a test wants it to say, byte for byte.</summary>
internal sealed class ScriptedOrigin : IAsyncDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly X509Certificate2? _certificate;
    private readonly Func<Peer, Task> _script;
    private readonly SslApplicationProtocol[] _protocols;
    private int _connections;

    private ScriptedOrigin(X509Certificate2? certificate, SslApplicationProtocol[] protocols, Func<Peer, Task> script)
    {
        (_certificate, _protocols, _script) = (certificate, protocols, script);
        _listener.Start();
        _ = _listener.ServeEachAsync(ServeAsync);
    }

    /// <summary>How many connections there have been.</summary>
    public int Connections => _connections;

    /// <summary>The heads of all requests.</summary>
    public ConcurrentQueue<string> Heads { get; } = [];

    public string Authority => $"localhost:{((IPEndPoint)_listener.LocalEndpoint).Port}";

    public static ScriptedOrigin Start(Func<Peer, Task> script, X509Certificate2? certificate = null) => new(certificate, [SslApplicationProtocol.Http11], script);

    /// <summary>One that answers each request by HTTP/2 with these fields, whatever they are, a body and perhaps fields behind it.</summary>
    public static ScriptedOrigin StartHttp2(
        X509Certificate2 certificate, string body, (string Name, string Value)[] fields, (string Name, string Value)[]? trailers = null) =>
        StartHttp2(certificate, async (http2, frame) =>
        {
            if (frame.Type != RawHttp2.Headers)
                return;
            await http2.SendAsync(RawHttp2.Headers, RawHttp2.EndHeaders, frame.Stream, RawHttp2.Fields([(":status", "200"), .. fields]));
            await http2.SendAsync(RawHttp2.Data, trailers is null ? RawHttp2.EndStream : 0, frame.Stream, Encoding.Latin1.GetBytes(body));
            if (trailers is not null)
                await http2.SendAsync(RawHttp2.Headers, RawHttp2.EndHeaders | RawHttp2.EndStream, frame.Stream, RawHttp2.Fields(trailers));
        });

    /// <summary>One that does this with each frame, SETTINGS and PING aside.</summary>
    /// <param name="certificate">Its own.</param>
    /// <param name="hear">What it does.</param>
    /// <param name="settings">Its SETTINGS (RFC 9113, 6.5.1); none when nothing is said.</param>
    public static ScriptedOrigin StartHttp2(X509Certificate2 certificate, Func<RawHttp2, (byte Type, int Flags, int Stream, byte[] Payload), Task> hear, byte[]? settings = null) =>
        new(certificate, [SslApplicationProtocol.Http2], peer => HearAsync(peer, hear, settings));

    /// <summary>One that speaks HTTP/2 so, and HTTP/1.1 by a script.</summary>
    public static ScriptedOrigin StartBoth(X509Certificate2 certificate, Func<RawHttp2, (byte Type, int Flags, int Stream, byte[] Payload), Task> hear, Func<Peer, Task> script) =>
        new(certificate, [SslApplicationProtocol.Http2, SslApplicationProtocol.Http11],
            peer => ((SslStream)peer.Stream).NegotiatedApplicationProtocol == SslApplicationProtocol.Http2 ? HearAsync(peer, hear, null) : script(peer));

    public ValueTask DisposeAsync()
    {
        _listener.Dispose();
        return ValueTask.CompletedTask;
    }

    private static async Task HearAsync(Peer peer, Func<RawHttp2, (byte Type, int Flags, int Stream, byte[] Payload), Task> hear, byte[]? settings)
    {
        await peer.Stream.ReadExactlyAsync(new byte["PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".Length]);
        var http2 = RawHttp2.Over(peer.Stream);
        await http2.SendAsync(RawHttp2.Settings, 0, 0, settings ?? []);
        while (await http2.ReadAsync(default) is { } frame)
        {
            if (frame is { Type: RawHttp2.Settings, Flags: 0 })
                await http2.SendAsync(RawHttp2.Settings, RawHttp2.Acknowledged, 0, []);
            else if (frame is { Type: RawHttp2.Ping, Flags: 0 })
                await http2.SendAsync(RawHttp2.Ping, RawHttp2.Acknowledged, 0, frame.Payload);
            else
                await hear(http2, frame);
        }
    }

    private async Task ServeAsync(TcpClient client)
    {
        using (client)
        {
            try
            {
                Stream stream = client.GetStream();
                if (_certificate is not null)
                {
                    var tls = new SslStream(stream);
                    // Whoever offers no protocol that it speaks is told so, and sent away, as Go and nginx do.
                    await tls.AuthenticateAsServerAsync(new SslServerAuthenticationOptions
                    {
                        ServerCertificate = _certificate,
                        ApplicationProtocols = [.. _protocols],
                    });
                    stream = tls;
                }

                await _script(new Peer(stream, client.Client, Interlocked.Increment(ref _connections), Heads));
            }
            catch (Exception e) when (e is IOException or SocketException or AuthenticationException or ObjectDisposedException)
            {
                // The proxy has gone.
            }
        }
    }

    /// <summary>One connection of the proxy.</summary>
    /// <param name="Stream">What is spoken over.</param>
    /// <param name="Socket">Beneath it.</param>
    /// <param name="Number">From 1.</param>
    /// <param name="Heads">All that were read.</param>
    internal sealed record Peer(Stream Stream, Socket Socket, int Number, ConcurrentQueue<string> Heads)
    {
        /// <summary>The next head without its empty line; null at the end.</summary>
        public async Task<string?> ReadHeadAsync()
        {
            var head = await Wire.ReadUntilAsync(Stream, "\r\n\r\n");
            if (!head.EndsWith("\r\n\r\n", StringComparison.Ordinal))
                return null;
            Heads.Enqueue(head[..^4]);
            return head[..^4];
        }

        public Task SayAsync(string text) => Stream.WriteAsync(Encoding.Latin1.GetBytes(text)).AsTask();
    }
}

/// <summary>Raw text over streams.</summary>
internal static class Wire
{
    /// <summary>Reads bytes, as Latin-1, until the text ends so, or the connection.</summary>
    public static async Task<string> ReadUntilAsync(Stream stream, string? end)
    {
        var text = new StringBuilder();
        var one = new byte[1];
        try
        {
            while ((end is null || !EndsWith(text, end)) && await stream.ReadAsync(one) == 1)
                text.Append((char)one[0]);
        }
        catch (IOException)
        {
            // What came, came.
        }

        return text.ToString();
    }

    private static bool EndsWith(StringBuilder text, string end)
    {
        if (text.Length < end.Length)
            return false;
        for (var i = 0; i < end.Length; i++)
        {
            if (text[text.Length - end.Length + i] != end[i])
                return false;
        }

        return true;
    }

    /// <summary>A connection to the proxy: plain, or a tunnel with HTTP or TLS in it.</summary>
    /// <param name="proxy">The proxy.</param>
    /// <param name="way"><c>plain</c>, <c>tunnel</c> or <c>tls</c>.</param>
    /// <param name="authority">Where a tunnel leads.</param>
    public static async Task<Stream> ConnectAsync(RunningProxy proxy, string way, string authority)
    {
        var tcp = new TcpClient("127.0.0.1", proxy.Port) { NoDelay = true };
        Stream stream = tcp.GetStream();
        if (way == "plain")
            return stream;
        await stream.WriteAsync(Encoding.ASCII.GetBytes($"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n"));
        await ReadUntilAsync(stream, "\r\n\r\n");
        if (way == "tunnel")
            return stream;
        var tls = new SslStream(stream);
        await tls.AuthenticateAsClientAsync(new SslClientAuthenticationOptions { TargetHost = "localhost", CertificateChainPolicy = proxy.TrustOnlyOurCa() });
        return tls;
    }

    /// <summary>Sends a request and reads the head of its answer, and a body of the length it gives.</summary>
    public static async Task<string> AskAsync(Stream stream, string request)
    {
        await stream.WriteAsync(Encoding.Latin1.GetBytes(request));
        var head = await ReadUntilAsync(stream, "\r\n\r\n");
        var field = head.Split("\r\n").FirstOrDefault(l => l.StartsWith("Content-Length: ", StringComparison.OrdinalIgnoreCase));
        if (field is null || request.StartsWith("HEAD", StringComparison.Ordinal) || head.Contains(" 304 ", StringComparison.Ordinal))
            return head;
        var body = new byte[int.Parse(field.Split(' ')[1], System.Globalization.CultureInfo.InvariantCulture)];
        await stream.ReadExactlyAsync(body);
        return head + Encoding.Latin1.GetString(body);
    }
}
