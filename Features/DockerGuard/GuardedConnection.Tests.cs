using System.Net.Sockets;
using System.Text;

namespace Discobot.Features.DockerGuard;

/// <summary>The guard between a client and a daemon of the test's own.</summary>
public sealed class GuardedConnectionTests : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);
    private readonly string _directory = Directory.CreateTempSubdirectory("guard").FullName;
    private readonly CancellationTokenSource _over = new(Patience);
    private readonly Socket _daemon = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
    private readonly Socket _guard = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
    private readonly Task _running;
    private readonly List<string> _log = [];

    public GuardedConnectionTests()
    {
        _daemon.Bind(new UnixDomainSocketEndPoint(Path.Combine(_directory, "daemon")));
        _daemon.Listen();
        _guard.Bind(new UnixDomainSocketEndPoint(Path.Combine(_directory, "guard")));
        _guard.Listen();
        _running = AnswerForHostNetworkAsync().ContinueWith(static _ => { }, TaskScheduler.Default);
        _ = new GuardServer(Path.Combine(_directory, "daemon"), new AllowedSources(["/home/discobot"]), _log.Add).RunAsync(_guard, _over.Token);
    }

    [Fact]
    public async Task A_refusal_is_dockers_error_with_the_reason_and_who_may_change_it_and_the_daemon_sees_nothing()
    {
        using var client = await ConnectAsync();
        await SendAsync(client, Post("/v1.41/containers/create", """{"HostConfig":{"Privileged":true}}"""));
        var answer = await ReadAsync(client);
        Assert.StartsWith("HTTP/1.1 403 Forbidden\r\nContent-Type: application/json\r\n", answer, StringComparison.Ordinal);
        Assert.Contains("""{"message":"Privileged: refused""", answer, StringComparison.Ordinal);
        Assert.Contains("/etc/discobot/policy.yaml", answer, StringComparison.Ordinal);
        Assert.False(_daemon.Poll(0, SelectMode.SelectRead));
        Assert.Contains("refused: Privileged", Assert.Single(_log), StringComparison.Ordinal);
    }

    /// <summary>CVE-2024-41110 and its kin: whoever looks at a body has to look at the one that the daemon reads.</summary>
    [Theory]
    [InlineData("POST /containers/create HTTP/1.1\r\nHost: d\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n27\r\n{\"HostConfig\":{\"Privileged\":true}}     \r\n0\r\n\r\n", "400")]
    [InlineData("POST /containers/create HTTP/1.1\r\nHost: d\r\nContent-Length: 2\r\nContent-Length: 34\r\n\r\n{}", "400")]
    [InlineData("POST /containers/create HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "400")]
    [InlineData("POST /containers/create HTTP/1.1\r\nHost: d\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n", "400")]
    [InlineData("POST /containers/create HTTP/1.1\nHost: d\n\n", "400")]
    [InlineData("POST  /containers/create HTTP/1.1\r\nHost: d\r\n\r\n", "400")]
    [InlineData("POST /containers/create HTTP/1.1 x\r\nHost: d\r\n\r\n", "400")]
    [InlineData("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "400")]
    [InlineData("POST /build HTTP/1.1\r\nHost: d\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 16\r\n\r\nnetworkmode=host", "400")]
    [InlineData("POST /containers/create HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked\r\n\r\n22\r\n{\"HostConfig\":{\"Privileged\":true}}\r\n0\r\n\r\n", "403")]
    [InlineData("POST /containers/a/attach HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n", "403")]
    public async Task A_request_that_could_be_read_in_another_way_is_refused(string request, string status)
    {
        using var client = await ConnectAsync();
        await SendAsync(client, request);
        Assert.StartsWith($"HTTP/1.1 {status} ", await ReadAsync(client), StringComparison.Ordinal);
        Assert.False(_daemon.Poll(0, SelectMode.SelectRead));
    }

    [Fact]
    public async Task A_body_of_five_MiB_is_not_passed_on_unseen()
    {
        using var client = await ConnectAsync();
        var sending = SendAsync(client, Post("/containers/create", new string(' ', 5 << 20) + """{"HostConfig":{"Privileged":true}}"""));
        Assert.StartsWith("HTTP/1.1 400 ", await ReadAsync(client), StringComparison.Ordinal);
        await sending;
        Assert.False(_daemon.Poll(0, SelectMode.SelectRead));
    }

    [Fact]
    public async Task What_was_judged_is_what_arrives_whole_and_with_its_length()
    {
        using var client = await ConnectAsync();
        await SendAsync(client, "POST /containers/create?name=x HTTP/1.1\r\nHost: d\r\nX-Odd:  a b \r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"Ima\r\n7\r\nge\":\"a\"\r\n1\r\n}\r\n0\r\n\r\n");
        using var daemon = await _daemon.AcceptAsync(_over.Token);
        const string expected = "POST /containers/create?name=x HTTP/1.1\r\nHost: d\r\nX-Odd: a b\r\nContent-Length: 13\r\nConnection: close\r\n\r\n{\"Image\":\"a\"}";
        Assert.Equal(expected, await ReadAsync(daemon, expected.Length));
        await SendAsync(daemon, "HTTP/1.1 201 Created\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}");
        daemon.Dispose();
        Assert.EndsWith("\r\n\r\n{}", await ReadAsync(client), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_second_request_behind_the_first_never_reaches_the_daemon()
    {
        using var client = await ConnectAsync();
        await SendAsync(client, "GET /_ping HTTP/1.1\r\nHost: d\r\n\r\n" + Post("/containers/create", """{"HostConfig":{"Privileged":true}}"""));
        using var daemon = await _daemon.AcceptAsync(_over.Token);
        client.Shutdown(SocketShutdown.Send);
        Assert.Equal("GET /_ping HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n", await ReadAsync(daemon));
    }

    [Fact]
    public async Task A_stream_goes_both_ways_and_its_input_may_end_before_its_output()
    {
        using var client = await ConnectAsync();
        await SendAsync(client, "POST /exec/a/start HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 2\r\n\r\n{}early");
        using var daemon = await _daemon.AcceptAsync(_over.Token);
        const string head = "POST /exec/a/start HTTP/1.1\r\nHost: d\r\nUpgrade: tcp\r\nContent-Length: 2\r\nConnection: Upgrade\r\n\r\n{}";
        Assert.Equal(head, await ReadAsync(daemon, head.Length));
        await SendAsync(daemon, "HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\nfirst");
        await SendAsync(client, " late");
        client.Shutdown(SocketShutdown.Send);
        Assert.Equal("early late", await ReadAsync(daemon));
        await SendAsync(daemon, " last");
        daemon.Dispose();
        Assert.EndsWith("\r\n\r\nfirst last", await ReadAsync(client), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Where_no_stream_comes_of_it_nothing_but_the_answer_passes()
    {
        using var client = await ConnectAsync();
        await SendAsync(client, "POST /containers/a/attach HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n" + Post("/containers/create", """{"Privileged":true}"""));
        using var daemon = await _daemon.AcceptAsync(_over.Token);
        await ReadAsync(daemon, "POST /containers/a/attach HTTP/1.1\r\nHost: d\r\nUpgrade: tcp\r\nConnection: Upgrade\r\n\r\n".Length);
        await SendAsync(daemon, "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}");
        Assert.Equal("", await ReadAsync(daemon));
        daemon.Dispose();
        Assert.Equal("HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}", await ReadAsync(client));
    }

    [Fact]
    public async Task An_answer_arrives_while_the_body_is_still_on_its_way()
    {
        using var client = await ConnectAsync();
        await SendAsync(client, "POST /build?t=a HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ndata\r\n");
        using var daemon = await _daemon.AcceptAsync(_over.Token);
        await SendAsync(daemon, "HTTP/1.1 200 OK\r\n\r\nStep 1");
        Assert.Equal("HTTP/1.1 200 OK\r\n\r\nStep 1", await ReadAsync(client, "HTTP/1.1 200 OK\r\n\r\nStep 1".Length));
        await SendAsync(client, "0\r\n\r\n");
        Assert.Contains("\r\n\r\n4\r\ndata\r\n0\r\n\r\n", await ReadAsync(daemon, "POST /build?t=a HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n4\r\ndata\r\n0\r\n\r\n".Length), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_client_that_leaves_is_seen_by_the_daemon_as_without_the_guard()
    {
        var client = await ConnectAsync();
        await SendAsync(client, "GET /containers/a/logs?follow=1 HTTP/1.1\r\nHost: d\r\n\r\n");
        using var daemon = await _daemon.AcceptAsync(_over.Token);
        await SendAsync(daemon, "HTTP/1.1 200 OK\r\n\r\n");
        client.Dispose();
        Assert.StartsWith("GET /containers/a/logs?follow=1 ", await ReadAsync(daemon), StringComparison.Ordinal);
    }

    public void Dispose()
    {
        _over.Cancel();
        _daemon.Dispose();
        _guard.Dispose();
        _over.Dispose();
        Directory.Delete(_directory, recursive: true);
    }

    private static string Post(string target, string body) => $"POST {target} HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\nContent-Length: {body.Length}\r\n\r\n{body}";

    private async Task AnswerForHostNetworkAsync()
    {
        using var asked = await _daemon.AcceptAsync(_over.Token);
        var question = await ReadAsync(asked, "GET /networks/host HTTP/1.1\r\nHost: docker\r\n\r\n".Length);
        Assert.StartsWith("GET /networks/host ", question, StringComparison.Ordinal);
        await SendAsync(asked, "HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n{\"Id\":\"abcd\"}");
    }

    private async Task<Socket> ConnectAsync()
    {
        var client = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        await client.ConnectAsync(new UnixDomainSocketEndPoint(Path.Combine(_directory, "guard")), _over.Token);
        await _running;
        return client;
    }

    private async Task SendAsync(Socket socket, string text)
    {
        for (ReadOnlyMemory<byte> bytes = Encoding.Latin1.GetBytes(text); !bytes.IsEmpty;)
            bytes = bytes[await socket.SendAsync(bytes, _over.Token)..];
    }

    private async Task<string> ReadAsync(Socket socket, int length = int.MaxValue)
    {
        var text = new StringBuilder();
        var buffer = new byte[4096];
        while (text.Length < length && await socket.ReceiveAsync(buffer.AsMemory(0, Math.Min(buffer.Length, length - text.Length)), _over.Token) is > 0 and var read)
            text.Append(Encoding.Latin1.GetString(buffer, 0, read));
        return text.ToString();
    }
}
