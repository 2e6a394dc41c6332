using System.Globalization;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Discobot.Tests.Fixtures;

namespace Discobot.Features.Interception;

/// <summary>The corpus of <c>Smuggling.Tests</c> against the whole proxy: what two parsers might read differently is refused, or arrives in
/// the one form that cannot be misread.</summary>
public sealed class SmugglingTests(SmugglingTests.Proxy fixture) : IClassFixture<SmugglingTests.Proxy>
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(20);

    private static readonly Dictionary<string, HttpCase> Cases = HttpCase.Load("Features/Interception/Smuggling.Tests").ToDictionary(c => c.Name);

    public static TheoryData<string, string> All()
    {
        var all = new TheoryData<string, string>();
        foreach (var one in Cases.Values)
        {
            foreach (var kind in new[] { "plain", "tunnel" })
            {
                if (one.StatusesOn(kind).Length > 0)
                    all.Add(one.Name, kind);
            }
        }

        return all;
    }

    [Theory]
    [MemberData(nameof(All))]
    public async Task Nothing_is_smuggled(string name, string kind)
    {
        await using var origin = RawOrigin.Start(kind == "tunnel" ? fixture.Certificate : null);
        var host = $"localhost:{origin.Port}";
        var request = Cases[name].ToBytes(host, kind == "plain" ? $"http://{host}" : "");

        var answer = await AskAsync(kind, host, request).WaitAsync(Limit);

        var status = answer.Length == 0 ? 0 : int.Parse(answer.AsSpan("HTTP/1.1 ".Length, 3), CultureInfo.InvariantCulture);
        Assert.Contains(status, Cases[name].StatusesOn(kind));
        Assert.InRange(answer.Split("HTTP/1.1 ").Length - 1, 0, 1);
        Assert.Empty(origin.Garbage);
        Assert.All(origin.Heads, head => AssertIsOneRequest(head, host));
        Assert.InRange(origin.Heads.Count, status == 200 ? 1 : 0, 1);
        // A malformed chunk is found when the head has gone.
        if (status != 200 && !name.StartsWith("chunks", StringComparison.Ordinal))
            Assert.Empty(origin.Heads);
    }

    internal static void AssertIsOneRequest(string head, string host)
    {
        var lines = head.Split("\r\n");
        Assert.DoesNotContain("/smuggled", lines[0], StringComparison.Ordinal);
        Assert.All(lines, line => Assert.False(line.AsSpan().ContainsAny("\r\n\0") || line[0] is ' ' or '\t', line));
        Assert.Single(lines, line => line.Equals($"Host: {host}", StringComparison.OrdinalIgnoreCase));
        Assert.True(lines.Count(line => line.StartsWith("Content-Length:", StringComparison.OrdinalIgnoreCase)
            || line.StartsWith("Transfer-Encoding:", StringComparison.OrdinalIgnoreCase)) <= 1, head);
    }

    private async Task<string> AskAsync(string kind, string host, byte[] request)
    {
        using var tcp = new TcpClient("127.0.0.1", fixture.Running.Port);
        Stream stream = tcp.GetStream();
        if (kind == "tunnel")
        {
            await stream.WriteAsync(Encoding.ASCII.GetBytes($"CONNECT {host} HTTP/1.1\r\n\r\n"));
            await ReadUntilAsync(stream, "\r\n\r\n");
            var tls = new SslStream(stream);
            await tls.AuthenticateAsClientAsync(new SslClientAuthenticationOptions
            {
                TargetHost = "localhost",
                CertificateChainPolicy = fixture.Running.TrustOnlyOurCa(),
                // Who does not say that it speaks HTTP may speak something else (OpaqueTls).
                ApplicationProtocols = [SslApplicationProtocol.Http11],
            });
            stream = tls;
        }

        try
        {
            await stream.WriteAsync(request);
        }
        catch (IOException)
        {
            // Refused before it was read to its end.
        }

        var head = await ReadUntilAsync(stream, "\r\n\r\n");
        // That was all: what comes now answers something that should not have been a request.
        try
        {
            if (stream is SslStream secure)
                await secure.ShutdownAsync();
            else
                tcp.Client.Shutdown(SocketShutdown.Send);
        }
        catch (Exception e) when (e is IOException or SocketException)
        {
            // Reset already, after the answer or instead of it.
        }

        return head + await ReadUntilAsync(stream, null);
    }

    private static async Task<string> ReadUntilAsync(Stream stream, string? end)
    {
        var text = new StringBuilder();
        var one = new byte[1];
        try
        {
            while ((end is null || !text.ToString().EndsWith(end, StringComparison.Ordinal)) && await stream.ReadAsync(one) == 1)
                text.Append((char)one[0]);
        }
        catch (IOException)
        {
            // A refused connection is reset when something of the request was not read.
        }

        return text.ToString();
    }

    public sealed class Proxy : IAsyncLifetime
    {
        internal RunningProxy Running { get; private set; } = null!;

        internal X509Certificate2 Certificate { get; private set; } = null!;

        public async Task InitializeAsync()
        {
            Running = await RunningProxy.StartAsync();
            Certificate = Running.Upstreams.Issue(["localhost"]);
        }

        public async Task DisposeAsync()
        {
            Certificate.Dispose();
            await Running.DisposeAsync();
        }
    }
}
