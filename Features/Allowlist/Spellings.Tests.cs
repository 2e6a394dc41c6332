using System.Net.Security;
using System.Net.Sockets;
using System.Text;
using Discobot.Tests.Fixtures;
using Microsoft.AspNetCore.Http;

namespace Discobot.Features.Allowlist;

/// <summary>Every way of writing a host, over every way through the proxy, to a server on this machine that must not be reached by it.</summary>
public sealed class SpellingsTests : IAsyncLifetime
{
    private RunningProxy _proxy = null!;
    private TestOrigin _origin = null!;
    private int _reached;

    // Every name and every IPv6 address may be asked for: 127.0.0.1 is in none of them, only the name "localhost" may lead to it.
    public async Task InitializeAsync()
    {
        _proxy = await RunningProxy.StartAsync("allowlist: {enabled: true, domains: [\"*\"], ips: [\"::/0\"]}");
        _origin = await TestOrigin.StartAsync(_proxy.Upstreams.Issue(["localhost", "127.0.0.1"]), context =>
        {
            Interlocked.Increment(ref _reached);
            return context.Response.WriteAsync("reached");
        });
    }

    public async Task DisposeAsync()
    {
        await _origin.DisposeAsync();
        await _proxy.DisposeAsync();
    }

    [Theory]
    [InlineData("127.0.0.1", "127.0.0.1")]
    [InlineData("127.0.0.1.", "127.0.0.1")]
    [InlineData("2130706433", "127.0.0.1")]
    [InlineData("0x7f000001", "127.0.0.1")]
    [InlineData("0X7F.1", "127.0.0.1")]
    [InlineData("017700000001", "127.0.0.1")]
    [InlineData("0177.0.0.01", "127.0.0.1")]
    [InlineData("127.1", "127.0.0.1")]
    [InlineData("[::ffff:127.0.0.1]", "127.0.0.1")]
    [InlineData("[::FFFF:7f00:1]", "127.0.0.1")]
    [InlineData("[::127.0.0.1]", "::127.0.0.1")]
    [InlineData("[64:ff9b::127.0.0.1]", "64:ff9b::7f00:1")]
    [InlineData("[64:ff9b:1::7f00:1]", "64:ff9b:1::7f00:1")]
    [InlineData("[2002:7f00:1::]", "2002:7f00:1::")]
    [InlineData("[::ffff:0:7f00:1]", "::ffff:0:127.0.0.1")]
    [InlineData("localhost", "localhost")]
    [InlineData("LOCALHOST", "localhost")]
    [InlineData("localhost.", "localhost")]
    public async Task No_spelling_leads_where_nothing_allows_it(string host, string canonical)
    {
        Assert.Equal("403", await PlainAsync(host));
        await using (var tunnel = await RawTunnel.OpenAsync(
            _proxy, Bytes($"CONNECT {host}:{_origin.HttpsPort} HTTP/1.1\r\n\r\n"), null, canonical, SslApplicationProtocol.Http11))
            Assert.Equal(403, await tunnel.AskAsync($"GET / HTTP/1.1\nHost: {host}:{_origin.HttpsPort}"));
        Assert.Equal(2, await SocksAsync(host.Trim('[', ']')));
        Assert.Equal(0, _reached);
    }

    // No HTTP client sends these as they are, SOCKS ones do.
    [Theory]
    [InlineData("１２７.0.0.1")]
    [InlineData("127。0。0。1")]
    [InlineData("0x７f．１")]
    [InlineData("ｌｏｃａｌｈｏｓｔ")]
    [InlineData("ＬＯＣＡＬＨＯＳＴ．")]
    public async Task Nor_does_one_beyond_ascii(string host)
    {
        Assert.Equal(2, await SocksAsync(host));
        Assert.Contains(await PlainAsync(host), (string[])["400", "403"]);
        Assert.Equal(0, _reached);
    }

    [Fact]
    public async Task An_allowed_host_is_allowed_in_every_spelling_of_its_own()
    {
        await DisposeAsync();
        _proxy = await RunningProxy.StartAsync("allowlist: {enabled: true, domains: [LocalHost, bücher.invalid], ips: [127.0.0.1]}");
        _origin = await TestOrigin.StartAsync(_proxy.Upstreams.Issue(["localhost"]), context => context.Response.WriteAsync("reached"));
        foreach (var host in new[] { "localhost", "LOCALHOST", "localhost.", "127.1", "0x7f.1", "[::ffff:127.0.0.1]" })
            Assert.Equal("200", await PlainAsync(host));
        Assert.Equal(0, await SocksAsync("ｌｏｃａｌｈｏｓｔ"));
        // Allowed, and found by nobody: 502 and host unreachable, where other names are blocked.
        Assert.Equal("502", await PlainAsync("xn--bcher-kva.invalid"));
        Assert.Equal(4, await SocksAsync("BÜCHER.invalid"));
        Assert.Equal("403", await PlainAsync("xn--bcher-xxx.invalid"));
        Assert.Equal(2, await SocksAsync("bucher.invalid"));
    }

    private async Task<string> PlainAsync(string host)
    {
        using var tcp = new TcpClient("127.0.0.1", _proxy.Port);
        await tcp.GetStream().WriteAsync(Bytes($"GET http://{host}:{_origin.HttpPort}/ HTTP/1.1\r\nHost: {host}:{_origin.HttpPort}\r\nConnection: close\r\n\r\n"));
        using var reader = new StreamReader(tcp.GetStream());
        return (await reader.ReadToEndAsync().WaitAsync(TimeSpan.FromSeconds(30))).Split(' ')[1];
    }

    /// <returns>The reply's code (RFC 1928, 6).</returns>
    private async Task<byte> SocksAsync(string host)
    {
        using var tcp = new TcpClient("127.0.0.1", _proxy.Port);
        var name = Bytes(host);
        await tcp.GetStream().WriteAsync((byte[])[5, 1, 0, 5, 1, 0, 3, (byte)name.Length, .. name, (byte)(_origin.HttpPort >> 8), (byte)_origin.HttpPort]);
        var answer = new byte[4];
        await tcp.GetStream().ReadExactlyAsync(answer).AsTask().WaitAsync(TimeSpan.FromSeconds(30));
        return answer[3];
    }

    private static byte[] Bytes(string text) => Encoding.UTF8.GetBytes(text);
}
