using System.Net;
using System.Net.Sockets;
using System.Text;
using Discobot.Tests.Fixtures;

namespace Discobot.Features.Interception;

/// <summary>Protocols that are neither HTTP nor TLS, as a database's, where the way out is enforced.</summary>
public sealed class PortEntriesTests : IDisposable
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(20);
    private readonly TcpListener _database = new(IPAddress.Loopback, 0);

    public PortEntriesTests()
    {
        _database.Start();
        _ = ServeAsync();
    }

    private int DatabasePort => ((IPEndPoint)_database.LocalEndpoint).Port;

    public void Dispose() => _database.Dispose();

    [Theory]
    [InlineData("connect")]
    [InlineData("socks5")]
    [InlineData("socks5", ", inspect: true")]
    public async Task They_pass_where_an_entry_has_the_port(string way, string socks = "")
    {
        await using var proxy = await StartAsync($"{{host: localhost, ports: [{DatabasePort}]}}", socks);
        Assert.Equal("answer", await AskAsync(proxy, way));
    }

    [Theory]
    [InlineData("connect", "localhost")]
    [InlineData("socks5", "localhost")]
    [InlineData("socks5", "localhost", ", inspect: true")]
    [InlineData("connect", "{host: localhost, ports: [5432]}")]
    [InlineData("socks5", "{host: localhost, ports: [5432]}")]
    public async Task They_do_not_where_none_has(string way, string entry, string socks = "")
    {
        await using var proxy = await StartAsync(entry, socks);
        Assert.Equal("", await AskAsync(proxy, way));
        await Eventually.TrueAsync(async () => (await File.ReadAllTextAsync(proxy.LogFile)).Contains($"ports: [{DatabasePort}]", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Where_it_is_not_enforced_a_host_is_allowed_at_every_port_as_before()
    {
        await using var proxy = await RunningProxy.StartAsync("allowlist: {enabled: true, domains: [localhost], allow_private: true}");
        Assert.Equal("answer", await AskAsync(proxy, "connect"));
        Assert.Equal("answer", await AskAsync(proxy, "socks5"));
    }

    private static Task<RunningProxy> StartAsync(string entry, string socks) => RunningProxy.StartAsync(
        $"egress: {{mode: enforce, port: {RunningProxy.FreePort()}, dns_port: {RunningProxy.FreePort()}}}\nsocks: {{udp: false{socks}}}\nallowlist: {{enabled: true, domains: [{entry}], allow_private: true}}");

    private async Task ServeAsync()
    {
        while (true)
        {
            using var client = await _database.AcceptTcpClientAsync();
            if (await client.GetStream().ReadAsync(new byte[8]) > 0)
                await client.GetStream().WriteAsync("answer"u8.ToArray());
        }
    }

    // A startup packet of PostgreSQL's: its length comes first.
    private async Task<string> AskAsync(RunningProxy proxy, string way)
    {
        using var client = new TcpClient("127.0.0.1", proxy.Port);
        var stream = client.GetStream();
        if (way == "connect")
        {
            await stream.WriteAsync(Encoding.ASCII.GetBytes($"CONNECT localhost:{DatabasePort} HTTP/1.1\r\n\r\n"));
            var head = new StringBuilder();
            while (!head.ToString().EndsWith("\r\n\r\n", StringComparison.Ordinal))
                head.Append((char)await ReadByteAsync(stream));
            Assert.StartsWith("HTTP/1.1 200 ", head.ToString(), StringComparison.Ordinal);
        }
        else
        {
            await stream.WriteAsync((byte[])[5, 1, 0, 5, 1, 0, 3, 9, .. "localhost"u8, (byte)(DatabasePort >> 8), (byte)DatabasePort]);
            var reply = new byte[12];
            await stream.ReadExactlyAsync(reply).AsTask().WaitAsync(Limit);
            if (reply[3] != 0)
                return "";
        }

        var answer = new byte[16];
        try
        {
            await stream.WriteAsync((byte[])[0, 0, 0, 8, 4, 210, 22, 47]);
            return Encoding.ASCII.GetString(answer, 0, await stream.ReadAsync(answer).AsTask().WaitAsync(Limit));
        }
        catch (IOException)
        {
            return "";
        }
    }

    private static async Task<int> ReadByteAsync(NetworkStream stream)
    {
        var one = new byte[1];
        await stream.ReadExactlyAsync(one).AsTask().WaitAsync(Limit);
        return one[0];
    }
}
