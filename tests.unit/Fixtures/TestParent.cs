using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Discobot.Tests.Fixtures;

/// <summary>A small parent proxy on loopback, for HTTP and SOCKS5, for which every name is 127.0.0.1.</summary>
internal sealed class TestParent : IAsyncDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);

    private readonly string? _answer;
    private readonly string _greeting;

    private TestParent(string? answer, string greeting)
    {
        (_answer, _greeting) = (answer, greeting);
        _listener.Start();
        _ = _listener.ServeEachAsync(ServeAsync);
    }

    public int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;

    /// <summary>What was asked: first lines of HTTP requests, with the Proxy-Authorization behind; <c>socks host:port user:password</c>.</summary>
    public ConcurrentQueue<string> Asked { get; } = [];

    /// <param name="answer">Sent in place of an answer of its own.</param>
    /// <param name="greeting">Sent right behind the answer to CONNECT, in the same packet: a server that speaks first.</param>
    public static TestParent Start(string? answer = null, string greeting = "") => new(answer, greeting);

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
                var stream = client.GetStream();
                var first = new byte[1];
                await stream.ReadExactlyAsync(first);
                await (first[0] == 5 ? ServeSocksAsync(stream) : ServeHttpAsync(stream, (char)first[0]));
            }
            catch (Exception e) when (e is IOException or SocketException)
            {
                // One end has gone.
            }
        }
    }

    private async Task ServeHttpAsync(NetworkStream client, char first)
    {
        var head = first + await ReadHeadAsync(client);
        var lines = head.Split("\r\n");
        var authorization = lines.FirstOrDefault(l => l.StartsWith("Proxy-Authorization: ", StringComparison.OrdinalIgnoreCase));
        Asked.Enqueue(authorization is null ? lines[0] : $"{lines[0]} {authorization}");
        if (_answer is not null)
        {
            await client.WriteAsync(Encoding.ASCII.GetBytes(_answer));
            return;
        }

        var target = lines[0].Split(' ')[1];
        using var upstream = new TcpClient();
        if (lines[0].StartsWith("CONNECT ", StringComparison.Ordinal))
        {
            await upstream.ConnectAsync("127.0.0.1", int.Parse(target.Split(':')[^1], CultureInfo.InvariantCulture));
            await client.WriteAsync(Encoding.ASCII.GetBytes($"HTTP/1.1 200 Here you are\r\nVia: test\r\n\r\n{_greeting}"));
        }
        else
        {
            await upstream.ConnectAsync("127.0.0.1", new Uri(target).Port);
            await upstream.GetStream().WriteAsync(Encoding.Latin1.GetBytes(head));
        }

        await RelayAsync(client, upstream.GetStream());
    }

    private async Task ServeSocksAsync(NetworkStream client)
    {
        var methods = await ReadAsync(client, (await ReadAsync(client, 1))[0]);
        var credentials = "";
        if (methods.Contains((byte)2))
        {
            await client.WriteAsync(new byte[] { 5, 2 });
            var user = await ReadAsync(client, (await ReadAsync(client, 2))[1]);
            var password = await ReadAsync(client, (await ReadAsync(client, 1))[0]);
            credentials = $" {Encoding.UTF8.GetString(user)}:{Encoding.UTF8.GetString(password)}";
            await client.WriteAsync(new byte[] { 1, (byte)(_answer == "wrong password" ? 1 : 0) });
        }
        else
        {
            await client.WriteAsync(new byte[] { 5, 0 });
        }

        var request = await ReadAsync(client, 5);
        var name = Encoding.ASCII.GetString(await ReadAsync(client, request[4]));
        var port = await ReadAsync(client, 2);
        Asked.Enqueue($"socks {name}:{port[0] << 8 | port[1]}{credentials}");
        await client.WriteAsync(new byte[] { 5, (byte)(_answer == "not allowed" ? 2 : 0), 0, 3, 1, (byte)'x', 0, 0 });
        using var upstream = new TcpClient();
        await upstream.ConnectAsync("127.0.0.1", port[0] << 8 | port[1]);
        await RelayAsync(client, upstream.GetStream());
    }

    private static async Task RelayAsync(NetworkStream client, NetworkStream upstream) =>
        await Task.WhenAny(client.CopyToAsync(upstream), upstream.CopyToAsync(client));

    private static async Task<string> ReadHeadAsync(NetworkStream stream)
    {
        var head = new StringBuilder();
        while (!head.ToString().EndsWith("\r\n\r\n", StringComparison.Ordinal))
            head.Append((char)(await ReadAsync(stream, 1))[0]);
        return head.ToString();
    }

    private static async Task<byte[]> ReadAsync(NetworkStream stream, int count)
    {
        var bytes = new byte[count];
        await stream.ReadExactlyAsync(bytes);
        return bytes;
    }
}
