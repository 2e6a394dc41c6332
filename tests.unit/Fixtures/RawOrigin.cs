using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using System.Text;

namespace Discobot.Tests.Fixtures;

/// <summary>A server that reads HTTP/1.1 by the letter and remembers every request it understood; each is answered with 200.</summary>
internal sealed class RawOrigin : IAsyncDisposable
{
    private readonly TcpListener _listener;
    private readonly X509Certificate2? _certificate;

    private RawOrigin(X509Certificate2? certificate, IPAddress address)
    {
        _certificate = certificate;
        _listener = new TcpListener(address, 0);
        _listener.Start();
        _ = _listener.ServeEachAsync(ServeAsync);
    }

    /// <summary>The head of each request, byte for byte (Latin-1) and without the empty line.</summary>
    public ConcurrentQueue<string> Heads { get; } = [];

    /// <summary>Bytes behind a request that begin no other one.</summary>
    public ConcurrentQueue<string> Garbage { get; } = [];

    public int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;

    /// <param name="certificate">With TLS.</param>
    /// <param name="address">127.0.0.1 when nothing is said.</param>
    public static RawOrigin Start(X509Certificate2? certificate = null, string address = "127.0.0.1") => new(certificate, IPAddress.Parse(address));

    public ValueTask DisposeAsync()
    {
        _listener.Dispose();
        return ValueTask.CompletedTask;
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
                    await tls.AuthenticateAsServerAsync(_certificate);
                    stream = tls;
                }

                while (await ReadLineAsync(stream) is { Length: > 0 } line)
                    await AnswerAsync(stream, line);
            }
            catch (Exception e) when (e is IOException or SocketException or System.Security.Authentication.AuthenticationException)
            {
                // The proxy broke off, as it should when a client's body is malformed.
            }
        }
    }

    private async Task AnswerAsync(Stream stream, string requestLine)
    {
        var head = new StringBuilder(requestLine);
        var (length, chunked) = (0L, false);
        while (await ReadLineAsync(stream) is { Length: > 0 } field)
        {
            head.Append("\r\n").Append(field);
            if (field.StartsWith("Content-Length:", StringComparison.OrdinalIgnoreCase))
                length = long.Parse(field.Split(':')[1].Trim(), NumberStyles.None, CultureInfo.InvariantCulture);
            chunked |= field.StartsWith("Transfer-Encoding:", StringComparison.OrdinalIgnoreCase);
        }

        Heads.Enqueue(head.ToString());
        if (chunked)
            await SkipChunksAsync(stream);
        else
            await stream.ReadExactlyAsync(new byte[length]);
        await stream.WriteAsync("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"u8.ToArray());
    }

    private async Task SkipChunksAsync(Stream stream)
    {
        while (true)
        {
            var line = await ReadLineAsync(stream) ?? throw new EndOfStreamException();
            if (!int.TryParse(line, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var size))
            {
                Garbage.Enqueue(line);
                throw new IOException("no chunk");
            }

            if (size > 0)
                await stream.ReadExactlyAsync(new byte[size]);
            if (await ReadLineAsync(stream) is not "")
                throw new EndOfStreamException();
            if (size == 0)
                return;
        }
    }

    // Null at the end. Only CRLF ends a line: stray CR and LF stay in it and are seen by the test.
    private static async Task<string?> ReadLineAsync(Stream stream)
    {
        var line = new StringBuilder();
        var one = new byte[1];
        while (await stream.ReadAsync(one) == 1)
        {
            line.Append((char)one[0]);
            if (line.Length >= 2 && line[^2] == '\r' && line[^1] == '\n')
                return line.ToString(0, line.Length - 2);
        }

        return null;
    }
}
