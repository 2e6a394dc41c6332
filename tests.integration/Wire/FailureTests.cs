using System.Net;
using System.Net.Sockets;
using Discobot.Integration.Fixtures;
using Microsoft.AspNetCore.Http;

namespace Discobot.Integration.Wire;

/// <summary>Whatever is wrong upstream, the client gets HTTP that says so: for https after the handshake with us.</summary>
public sealed class FailureTests(WireFixture fixture) : IClassFixture<WireFixture>
{
    [Theory]
    [InlineData("expired", "not valid now")]
    [InlineData("future", "not valid now")]
    [InlineData("other name", "another name")]
    [InlineData("unknown authority", "its issuer is not known (CN=Somebody Else")]
    public async Task A_bad_upstream_certificate_is_a_502_that_says_what_is_wrong_with_it(string fault, params string[] words)
    {
        var now = DateTimeOffset.UtcNow;
        var certificate = fault switch
        {
            "expired" => fixture.Authority.Issue(["localhost"], now.AddDays(-20), now.AddDays(-1)),
            "future" => fixture.Authority.Issue(["localhost"], now.AddDays(1), now.AddDays(20)),
            "other name" => fixture.Authority.Issue(["elsewhere.test"]),
            _ => new TestAuthority("Somebody Else").Issue(["localhost"]),
        };
        await using var origin = await Origin.StartAsync(certificate, context => context.Response.WriteAsync("never seen"));
        var (status, code, reason) = await AskAsync(origin.Https);

        Assert.Equal(HttpStatusCode.BadGateway, status);
        Assert.Equal("upstream_certificate", code);
        Assert.Contains(words, word => reason.Contains(word, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("http")]
    [InlineData("https")]
    public async Task A_refused_connection_is_a_502(string scheme)
    {
        var (status, code, _) = await AskAsync(new Uri($"{scheme}://localhost:{ProxyProcess.FreePort()}"));
        Assert.Equal((HttpStatusCode.BadGateway, "upstream_refused"), (status, code));
    }

    [Fact]
    public async Task A_name_that_does_not_exist_is_a_502()
    {
        var (status, code, _) = await AskAsync(new Uri("https://no-such-host.invalid/"));
        Assert.Equal((HttpStatusCode.BadGateway, "upstream_unresolved"), (status, code));
    }

    [Fact]
    public async Task An_upstream_that_says_nothing_is_a_504()
    {
        await using var origin = await fixture.OriginAsync(context => Task.Delay(TimeSpan.FromSeconds(30), context.RequestAborted));
        var (status, code, _) = await AskAsync(origin.Https);
        Assert.Equal((HttpStatusCode.GatewayTimeout, "upstream_timeout"), (status, code));
    }

    [Theory]
    [InlineData("http")]
    [InlineData("https")]
    public async Task A_reset_connection_is_a_502(string scheme)
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var server = ResetEachAsync(listener);
        var (status, code, _) = await AskAsync(new Uri($"{scheme}://localhost:{((IPEndPoint)listener.LocalEndpoint).Port}"));
        Assert.Equal(HttpStatusCode.BadGateway, status);
        Assert.StartsWith("upstream_", code, StringComparison.Ordinal);
        listener.Stop();
        await server;
    }

    [Theory]
    [InlineData("http", "1.1")]
    [InlineData("https", "1.1")]
    [InlineData("https", "2.0")]
    public async Task A_half_sent_body_never_looks_whole(string scheme, string version)
    {
        await using var origin = await fixture.OriginAsync(async context =>
        {
            context.Response.ContentLength = 1000;
            await context.Response.WriteAsync("half");
            await context.Response.Body.FlushAsync();
            // By time: half of it has to arrive before the connection is reset.
            await Task.Delay(100);
            context.Abort();
        });
        using var client = fixture.Proxy.CreateClient(Version.Parse(version));
        using var answer = await client.GetAsync(scheme == "http" ? origin.Http : origin.Https, HttpCompletionOption.ResponseHeadersRead);
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        await Assert.ThrowsAsync<HttpRequestException>(() => answer.Content.ReadAsByteArrayAsync());
    }

    private async Task<(HttpStatusCode Status, string Code, string Body)> AskAsync(Uri address)
    {
        using var client = fixture.Proxy.CreateClient();
        using var answer = await client.GetAsync(address);
        return (answer.StatusCode, answer.Headers.GetValues("X-Discobot-Error").Single(), await answer.Content.ReadAsStringAsync());
    }

    private static async Task ResetEachAsync(TcpListener listener)
    {
        try
        {
            while (true)
            {
                using var client = await listener.AcceptSocketAsync();
                await client.ReceiveAsync(new byte[1]);
                client.LingerState = new LingerOption(true, 0);
            }
        }
        catch (Exception e) when (e is SocketException or InvalidOperationException)
        {
            // Stopped: the test is over.
        }
    }
}
