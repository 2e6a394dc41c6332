using System.Globalization;
using System.Text;
using Discobot.Integration.Fixtures;
using DotNet.Testcontainers.Builders;
using DotNet.Testcontainers.Containers;

namespace Discobot.Integration.Socks5;

/// <summary>The clients people use, through the shipped image, to a server whose name only the proxy resolves for them.</summary>
[Collection("network")]
public sealed class SocksClientsTests(NetworkFixture fixture) : IAsyncLifetime
{
    private const string Url = "http://socks.test/hello";
    private IContainer? _server;
    private IContainer? _client;

    public async Task InitializeAsync()
    {
        _server = Engine.Container(Engine.Tools)
            .WithEntrypoint("python3", "-m", "http.server", "--directory", "/srv", "80")
            .WithNetwork(fixture.Network).WithNetworkAliases("socks.test")
            .WithResourceMapping("hello"u8.ToArray(), "/srv/hello")
            .WithWaitStrategy(Wait.ForUnixContainer().UntilCommandIsCompleted("curl", "-sf", "http://localhost/hello"))
            .Build();
        _client = Engine.Container(Engine.Tools)
            .WithEntrypoint("sleep", "infinity")
            .WithNetwork(fixture.Network)
            .Build();
        await Task.WhenAll(_server.StartAsync(), _client.StartAsync());
    }

    public async Task DisposeAsync()
    {
        foreach (var container in new[] { _server, _client })
        {
            if (container is not null)
                await container.DisposeAsync();
        }
    }

    [Theory]
    [InlineData("--socks5-hostname")]
    [InlineData("--socks5")]
    public async Task Curl_gets_through_whoever_resolves(string option) =>
        Assert.Equal("hello", await _client!.RunAsync("curl", "-sS", option, "proxy:17080", Url));

    [Fact]
    public async Task Proxychains_gets_through()
    {
        await WriteAsync("/proxychains.conf", $"strict_chain\nproxy_dns\n[ProxyList]\nsocks5 {await ProxyAddressAsync()} 17080\n");
        Assert.Equal("hello", await _client!.RunAsync("proxychains4", "-q", "-f", "/proxychains.conf", "curl", "-sS", Url));
    }

    [Fact]
    public async Task Dantes_client_gets_through()
    {
        // It reaches its own network directly by itself; a name it cannot resolve has to go through the proxy.
        await WriteAsync("/dante.conf", $$"""
            resolveprotocol: fake
            route {
              from: 0.0.0.0/0 to: 0.0.0.0/0 via: {{await ProxyAddressAsync()}} port = 17080
              protocol: tcp
              command: connect
              proxyprotocol: socks_v5
            }

            """);
        Assert.Equal("hello", await _client!.RunAsync("env", "SOCKS_CONF=/dante.conf", "socksify", "curl", "-sS", Url));
    }

    [Fact]
    public async Task Pythons_client_gets_through_and_may_end_its_own_direction_first()
    {
        const string Script = """
            import socket, socks
            s = socks.socksocket()
            s.set_proxy(socks.SOCKS5, 'proxy', 17080, rdns=True)
            s.connect(('socks.test', 80))
            s.sendall(b'GET /hello HTTP/1.0\r\n\r\n')
            s.shutdown(socket.SHUT_WR)
            answer = b''
            while more := s.recv(4096):
                answer += more
            print(answer.split(b'\r\n\r\n')[1].decode(), end='')
            """;
        Assert.Equal("hello", await _client!.RunAsync("python3", "-c", Script));
    }

    [Fact]
    public async Task Nodes_client_gets_through()
    {
        const string Script = """
            const { SocksClient } = require('socks');
            SocksClient.createConnection({
              proxy: { host: 'proxy', port: 17080, type: 5 }, command: 'connect', destination: { host: 'socks.test', port: 80 },
            }).then(({ socket }) => {
              let answer = '';
              socket.on('data', data => answer += data);
              socket.on('end', () => process.stdout.write(answer.split('\r\n\r\n')[1]));
              socket.write('GET /hello HTTP/1.0\r\n\r\n');
              socket.resume();
            });
            """;
        Assert.Equal("hello", await _client!.RunAsync("node", "-e", Script));
    }

    [Theory]
    [InlineData("http://no-such-host.test/", 4)]
    [InlineData("http://socks.test:81/", 5)]
    [InlineData("http://proxy:17080/", 2)]
    public async Task Curl_is_told_what_is_wrong(string url, int reply)
    {
        var result = await _client!.ExecAsync(["curl", "-sS", "--socks5-hostname", "proxy:17080", url]);
        Assert.Equal(97, result.ExitCode);
        Assert.Contains(string.Create(CultureInfo.InvariantCulture, $"({reply})"), result.Stderr, StringComparison.Ordinal);
    }

    // Neither client resolves the name of the proxy itself.
    private async Task<string> ProxyAddressAsync() => (await _client!.RunAsync("getent", "ahostsv4", "proxy")).Split(' ')[0];

    private Task WriteAsync(string path, string text) => _client!.CopyAsync(Encoding.ASCII.GetBytes(text), path);
}
