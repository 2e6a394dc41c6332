using System.Net;
using System.Security.Cryptography.X509Certificates;
using Discobot.Tests.Fixtures;
using Microsoft.AspNetCore.Http;

namespace Discobot.Features.Interception.Upstreams;

/// <summary>The pool that the proxy uses, towards a real server: each answer names the connection it came over.</summary>
public sealed class Http2DoubtTests : IAsyncLifetime
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(1);
    private TaskCompletionSource _answer = new();
    private HttpMessageInvoker _client = null!;
    private TestOrigin _origin = null!;

    public async Task InitializeAsync()
    {
        using var authority = new TestAuthority();
        _client = ClientOf(authority);
        _origin = await TestOrigin.StartAsync(authority.Issue(["localhost"]), async context =>
        {
            if (context.Request.Path == "/slow")
                await _answer.Task.WaitAsync(TimeSpan.FromSeconds(20));
            if (context.Request.Path == "/upload")
                await context.Request.Body.CopyToAsync(Stream.Null);
            if (context.Request.Path == "/large")
                await context.Response.Body.WriteAsync(new byte[300_000]);
            await context.Response.WriteAsync(context.Connection.Id);
        });
    }

    public async Task DisposeAsync()
    {
        _client.Dispose();
        await _origin.DisposeAsync();
    }

    [Fact]
    public async Task Requests_after_one_that_gets_no_answer_go_over_another_connection_and_that_one_may_still_get_it()
    {
        var first = await SettleAsync();
        // By time: the client's pings, by which it measures the way, are answered by then: an answer after the question would show a living server.
        await Task.Delay(Patience / 2);
        var slow = AskAsync("/slow");
        // By time: the server's silence.
        await Task.Delay(Patience * 3);

        var second = await AskAsync("/");
        Assert.NotEqual(first, second);
        Assert.Equal(second, await AskAsync("/"));
        Assert.False(slow.IsCompleted);
        _answer.SetResult();
        Assert.Equal(first, await slow);
    }

    [Fact]
    public async Task A_server_that_answers_is_in_no_doubt_however_long_nobody_asks()
    {
        var first = await SettleAsync();
        Assert.EndsWith(first, await AskAsync("/large"), StringComparison.Ordinal);
        // By time: nobody asks.
        await Task.Delay(Patience * 3);
        Assert.Equal(first, await AskAsync("/"));
        Assert.Equal(first, await AskAsync("/upload", new byte[200_000]));
        // By time: nobody asks.
        await Task.Delay(Patience * 3);
        Assert.Equal(first, await AskAsync("/"));
    }

    [Fact]
    public async Task Answers_that_keep_coming_on_other_streams_show_that_the_server_is_there()
    {
        // On a machine that stands still for as long the doubt is right, and says nothing: then once more.
        while (!await WasShownAsync())
            _answer = new();

        async Task<bool> WasShownAsync()
        {
            var first = await SettleAsync();
            var slow = AskAsync("/slow");
            for (var i = 0; i < 12; i++)
            {
                var before = TimeProvider.System.GetTimestamp();
                await Task.Delay(Patience / 4);
                var connection = await AskAsync("/");
                if (TimeProvider.System.GetElapsedTime(before) >= Patience)
                {
                    _answer.SetResult();
                    await slow;
                    return false;
                }

                Assert.Equal(first, connection);
            }

            _answer.SetResult();
            Assert.Equal(first, await slow);
            return true;
        }
    }

    private static HttpMessageInvoker ClientOf(TestAuthority authority)
    {
        return new HttpMessageInvoker(new SocketsHttpHandler
        {
            SslOptions = { CertificateChainPolicy = authority.TrustOnlyThis() },
            PlaintextStreamFilter = (context, _) => ValueTask.FromResult<Stream>(new Http2Doubt(context.PlaintextStream, Patience)),
        });
    }

    // The first answer of a process may take longer than the patience of these tests, and its connection be in doubt for a good reason.
    private async Task<string> SettleAsync()
    {
        for (var last = await AskAsync("/"); ;)
        {
            var next = await AskAsync("/");
            if (next == last)
                return next;
            last = next;
        }
    }

    private async Task<string> AskAsync(string path, byte[]? body = null)
    {
        using var request = new HttpRequestMessage(body is null ? HttpMethod.Get : HttpMethod.Post, _origin.Https + path)
        {
            Version = HttpVersion.Version20,
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
            Content = body is null ? null : new ByteArrayContent(body),
        };
        using var response = await _client.SendAsync(request, CancellationToken.None).WaitAsync(TimeSpan.FromSeconds(30));
        return (await response.Content.ReadAsStringAsync()).TrimStart('\0');
    }
}
