using System.Net;
using System.Text;
using Discobot.Tests.Fixtures;

namespace Discobot.Features.Interception.Upstreams;

/// <summary>HTTP/1.1 towards servers: what they say and when, against what clients are told.</summary>
public sealed class Http1ForwardingTests(SmugglingTests.Proxy fixture) : IClassFixture<SmugglingTests.Proxy>
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);

    private const string Blob = "/v2/team/app/blobs/sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    private const string Ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

    // On an address that the cache looks after, by digest or by its rules for packages, and on others.
    [Theory]
    [InlineData("plain", "NTLM", "/")]
    [InlineData("tunnel", "Negotiate", "/")]
    [InlineData("tls", "NTLM", "/")]
    [InlineData("plain", "NTLM", "/x/-/x-1.tgz")]
    [InlineData("tls", "Kerberos", "/x/-/x-1.tgz")]
    [InlineData("tunnel", "Negotiate", "/v2/")]
    [InlineData("tls", "NTLM", Blob)]
    public async Task An_identity_proved_for_a_connection_serves_one_client_alone(string way, string scheme, string path)
    {
        await using var origin = StartProving(way, $"{scheme} 3");
        await using (var alice = await Wire.ConnectAsync(fixture.Running, way, origin.Authority))
        {
            Assert.StartsWith("HTTP/1.1 401", await AskAsync(alice, way, origin, "GET", "", path), StringComparison.Ordinal);
            Assert.StartsWith("HTTP/1.1 401", await AskAsync(alice, way, origin, "GET", $"Authorization: {scheme} 1\r\n", path), StringComparison.Ordinal);
            Assert.EndsWith("secret", await AskAsync(alice, way, origin, "GET", $"Authorization: {scheme} 3\r\n", path), StringComparison.Ordinal);
            await using var meanwhile = await Wire.ConnectAsync(fixture.Running, way, origin.Authority);
            Assert.StartsWith("HTTP/1.1 401", await AskAsync(meanwhile, way, origin, "GET", "", path), StringComparison.Ordinal);
            Assert.StartsWith("HTTP/1.1 401", await AskAsync(meanwhile, way, origin, "GET", ""), StringComparison.Ordinal);
            // It is who the connection says, without saying it again.
            Assert.EndsWith("secret", await AskAsync(alice, way, origin, "GET", "", path), StringComparison.Ordinal);
        }

        await using var mallory = await Wire.ConnectAsync(fixture.Running, way, origin.Authority);
        Assert.StartsWith("HTTP/1.1 401", await AskAsync(mallory, way, origin, "GET", "", path), StringComparison.Ordinal);
        Assert.StartsWith("HTTP/1.1 401", await AskAsync(mallory, way, origin, "GET", ""), StringComparison.Ordinal);
    }

    /// <summary>What a server has said before it breaks off reaches the client, as without a proxy, and no clean end behind it.</summary>
    [Theory]
    [InlineData("plain", "Content-Length: 50", "hi")]
    [InlineData("tunnel", "Content-Length: 50", "hi")]
    [InlineData("tls", "Content-Length: 50", "hi")]
    [InlineData("tls", "Content-Length: 5000", "LONG")]
    [InlineData("plain", "Transfer-Encoding: chunked", "2\r\nhi\r\n")]
    public async Task A_server_that_breaks_off_has_said_what_it_has_said(string way, string framing, string body)
    {
        body = body.Replace("LONG", new string('x', 3000), StringComparison.Ordinal);
        await using var origin = Start(way, async peer =>
        {
            await peer.ReadHeadAsync();
            await peer.SayAsync($"HTTP/1.1 200 OK\r\n{framing}\r\nX-Mark: yes\r\n\r\n{body}");
        });
        await using var client = await Wire.ConnectAsync(fixture.Running, way, origin.Authority);
        await SayAsync(client, $"GET {(way == "plain" ? $"http://{origin.Authority}" : "")}/ HTTP/1.1\r\nHost: {origin.Authority}\r\n\r\n");
        var said = new StringBuilder();
        try
        {
            var buffer = new byte[8192];
            while (await client.ReadAsync(buffer).AsTask().WaitAsync(Limit) is var count and > 0)
                said.Append(Encoding.Latin1.GetString(buffer, 0, count));
        }
        catch (IOException)
        {
            // No clean end.
        }

        var answer = said.ToString();
        Assert.StartsWith("HTTP/1.1 200 OK\r\n", answer, StringComparison.Ordinal);
        Assert.Contains("X-Mark: yes\r\n", answer, StringComparison.Ordinal);
        Assert.Contains(framing.StartsWith('T') ? "\r\n2\r\nhi\r\n" : "\r\n\r\n" + body, answer, StringComparison.Ordinal);
        Assert.False(answer.EndsWith("0\r\n\r\n", StringComparison.Ordinal), answer);
    }

    [Theory]
    [InlineData("plain", "/")]
    [InlineData("plain", "/x/-/x-1.tgz")]
    [InlineData("tunnel", "/x/-/x-1.tgz")]
    public async Task An_identity_that_a_header_rule_proves_serves_the_requests_of_that_rule_alone(string way, string path)
    {
        await using var proxy = await RunningProxy.StartAsync(
            "headers: {localhost: {set: {Authorization: Negotiate 3}, conditions: [{header: X-Who, equals: alice}], allow_plaintext: true}}");
        await using var origin = StartProving(way, "Negotiate 3");
        await using var client = await Wire.ConnectAsync(proxy, way, origin.Authority);
        await using var other = await Wire.ConnectAsync(proxy, way, origin.Authority);
        for (var i = 0; i < 2; i++)
        {
            Assert.EndsWith("secret", await AskAsync(client, way, origin, "GET", "X-Who: alice\r\n", path), StringComparison.Ordinal);
            Assert.StartsWith("HTTP/1.1 401", await AskAsync(client, way, origin, "GET", "", "/other"), StringComparison.Ordinal);
            Assert.StartsWith("HTTP/1.1 401", await AskAsync(other, way, origin, "GET", "", "/other"), StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Credentials_of_such_a_scheme_are_seen_on_whichever_line_they_stand()
    {
        await using var origin = StartProving("plain", "NTLM 3");
        await using var alice = await Wire.ConnectAsync(fixture.Running, "plain", origin.Authority);
        await using var mallory = await Wire.ConnectAsync(fixture.Running, "plain", origin.Authority);
        Assert.EndsWith("secret", await AskAsync(alice, "plain", origin, "GET", "Authorization: Basic YTpi\r\nAuthorization: NTLM 3\r\n"), StringComparison.Ordinal);
        Assert.StartsWith("HTTP/1.1 401", await AskAsync(mallory, "plain", origin, "GET", ""), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("plain", 0)]
    [InlineData("plain", 200)]
    [InlineData("tunnel", 0)]
    [InlineData("tls", 0)]
    [InlineData("tls", 1)]
    [InlineData("tls", 200)]
    public async Task A_body_that_comes_behind_its_head_arrives_with_the_connection_kept(string way, int milliseconds)
    {
        await using var origin = Start(way, async peer =>
        {
            while (await peer.ReadHeadAsync() is not null)
            {
                await peer.SayAsync("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n");
                await Task.Delay(milliseconds);
                await peer.SayAsync("body");
            }
        });
        for (var i = 0; i < 20; i++)
        {
            await using var client = await Wire.ConnectAsync(fixture.Running, way, origin.Authority);
            for (var j = 0; j < (milliseconds > 1 ? 1 : 5); j++)
                Assert.EndsWith("\r\n\r\nbody", await AskAsync(client, way, origin, "GET", ""), StringComparison.Ordinal);
        }
    }

    // On an address that the cache looks after, and on others.
    [Theory]
    [InlineData("plain", 204, "/")]
    [InlineData("tls", 204, "/")]
    [InlineData("plain", 204, Blob)]
    [InlineData("tls", 204, Blob)]
    public async Task A_status_without_content_is_passed_on_though_a_length_or_a_body_comes_with_it(string way, int status, string path)
    {
        await using var origin = Start(way, async peer =>
        {
            while (await peer.ReadHeadAsync() is { } head)
                await peer.SayAsync(head.Contains("/next", StringComparison.Ordinal) ? Ok : $"HTTP/1.1 {status} Nothing\r\nContent-Length: 5\r\n\r\nhello");
        });
        await using var client = await Wire.ConnectAsync(fixture.Running, way, origin.Authority);
        var answer = await AskAsync(client, way, origin, "GET", "", path);
        Assert.StartsWith($"HTTP/1.1 {status} ", answer, StringComparison.Ordinal);
        Assert.DoesNotContain("hello", answer, StringComparison.Ordinal);
        Assert.EndsWith("ok", await AskAsync(client, way, origin, "GET", "", "/next"), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("plain")]
    [InlineData("tls")]
    public async Task Fields_that_a_request_names_as_the_connections_end_here(string way)
    {
        await using var origin = Start(way, async peer =>
        {
            while (await peer.ReadHeadAsync() is not null)
                await peer.SayAsync(Ok);
        });
        await using var client = await Wire.ConnectAsync(fixture.Running, way, origin.Authority);
        await AskAsync(client, way, origin, "GET", "Connection: keep-alive, x-hop\r\nKeep-Alive: 5\r\nX-Hop: 1\r\nProxy-Connection: keep-alive\r\nX: 1\r\n");
        var head = Assert.Single(origin.Heads);
        Assert.Contains("\r\nX: 1", head, StringComparison.Ordinal);
        Assert.DoesNotContain("hop", head, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain("keep-alive", head, StringComparison.OrdinalIgnoreCase);
    }

    // An empty value is one (RFC 9110, 5.5), and a section without fields an end like any other.
    [Theory]
    [InlineData("plain", "X-Sum:", "X-Sum:")]
    [InlineData("tls", "x-a: 1\r\nX-Sum: ", "x-a: 1\r\nX-Sum:")]
    [InlineData("tls", "", "")]
    public async Task The_fields_behind_a_requests_body_arrive(string way, string trailers, string expected)
    {
        var seen = new TaskCompletionSource<string>();
        await using var origin = Start(way, async peer =>
        {
            await peer.ReadHeadAsync();
            await Wire.ReadUntilAsync(peer.Stream, "0\r\n");
            var line = "";
            while (await Wire.ReadUntilAsync(peer.Stream, "\r\n") is { Length: > 2 } next)
                line += (line.Length > 0 ? "\r\n" : "") + next.TrimEnd();
            seen.SetResult(line);
            await peer.SayAsync(Ok);
        });
        await using var client = await Wire.ConnectAsync(fixture.Running, way, origin.Authority);
        await Wire.AskAsync(client, $"POST {(way == "plain" ? $"http://{origin.Authority}" : "")}/ HTTP/1.1\r\nHost: {origin.Authority}\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n{trailers}{(trailers.Length > 0 ? "\r\n" : "")}\r\n");
        Assert.Equal(expected, await seen.Task.WaitAsync(TimeSpan.FromSeconds(60)));
    }

    // A server must not send one (RFC 9110, 15.3.6), but where it ends is no question (RFC 9112, 6.3), and without a proxy its client has it.
    [Theory]
    [InlineData("plain", "/", "Content-Length: 5\r\n\r\nhello")]
    [InlineData("tls", "/", "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")]
    [InlineData("plain", Blob, "Content-Length: 5\r\n\r\nhello")]
    [InlineData("tls", Blob, "Content-Length: 5\r\n\r\nhello")]
    public async Task The_body_of_a_205_passes(string way, string path, string rest)
    {
        await using var origin = Start(way, async peer =>
        {
            while (await peer.ReadHeadAsync() is { } head)
                await peer.SayAsync(head.Contains("/next", StringComparison.Ordinal) ? Ok : "HTTP/1.1 205 Reset Content\r\n" + rest);
        });
        await using var client = await Wire.ConnectAsync(fixture.Running, way, origin.Authority);
        var answer = await AskAsync(client, way, origin, "GET", "", path);
        if (!answer.Contains("hello", StringComparison.Ordinal))
            answer += await Wire.ReadUntilAsync(client, "0\r\n\r\n");
        Assert.StartsWith("HTTP/1.1 205 ", answer, StringComparison.Ordinal);
        Assert.Contains("hello", answer, StringComparison.Ordinal);
        Assert.EndsWith("ok", await AskAsync(client, way, origin, "GET", "", "/next"), StringComparison.Ordinal);
        Assert.Equal(1, origin.Connections);
    }

    [Theory]
    [InlineData("plain")]
    [InlineData("tls")]
    public async Task A_205_without_a_body_stays_one(string way)
    {
        await using var origin = Start(way, async peer =>
        {
            while (await peer.ReadHeadAsync() is { } head)
                await peer.SayAsync(head.Contains("/next", StringComparison.Ordinal) ? Ok : "HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n");
        });
        await using var client = await Wire.ConnectAsync(fixture.Running, way, origin.Authority);
        Assert.EndsWith("Content-Length: 0\r\n\r\n", await AskAsync(client, way, origin, "GET", ""), StringComparison.Ordinal);
        Assert.EndsWith("ok", await AskAsync(client, way, origin, "GET", "", "/next"), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("/")]
    [InlineData(Blob)]
    public async Task Protocols_that_are_switched_without_being_asked_are_502(string path)
    {
        await using var origin = Start("plain", async peer =>
        {
            await peer.ReadHeadAsync();
            await peer.SayAsync("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n");
            await peer.ReadHeadAsync();
        });
        await using var client = await Wire.ConnectAsync(fixture.Running, "plain", origin.Authority);
        Assert.StartsWith("HTTP/1.1 502 ", await AskAsync(client, "plain", origin, "GET", "", path), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("plain")]
    [InlineData("tls")]
    public async Task An_early_answer_ends_a_request_whose_body_was_never_asked_for(string way)
    {
        var ended = new TaskCompletionSource();
        await using var origin = Start(way, async peer =>
        {
            await peer.ReadHeadAsync();
            await peer.SayAsync(Ok);
            if (await peer.ReadHeadAsync() is null)
                ended.SetResult();
        });
        await using (var client = await Wire.ConnectAsync(fixture.Running, way, origin.Authority))
            Assert.EndsWith("ok", await AskAsync(client, way, origin, "PUT", "Content-Length: 5\r\nExpect: 100-continue\r\n"), StringComparison.Ordinal);
        await ended.Task.WaitAsync(TimeSpan.FromSeconds(10));
    }

    [Fact]
    public async Task A_connection_with_an_identity_ends_with_the_client()
    {
        var ended = new TaskCompletionSource();
        await using var origin = Start("plain", async peer =>
        {
            await peer.ReadHeadAsync();
            await peer.SayAsync(Ok);
            if (await peer.ReadHeadAsync() is null)
                ended.SetResult();
        });
        await using (var client = await Wire.ConnectAsync(fixture.Running, "plain", origin.Authority))
            await AskAsync(client, "plain", origin, "GET", "Authorization: Kerberos x\r\n");

        await ended.Task.WaitAsync(Limit);
    }

    [Theory]
    [InlineData("1.1")]
    [InlineData("2.0")]
    public async Task Methods_arrive_in_their_own_case(string version)
    {
        await using var origin = Start("tls", ServeAsync);
        using var client = fixture.Running.Client(Version.Parse(version));
        foreach (var method in (string[])["patch2", "PROPFIND", "M-SEARCH", "QUERY", "FOO_bar"])
        {
            using var request = new HttpRequestMessage(new HttpMethod(method), $"https://{origin.Authority}/") { Version = client.DefaultRequestVersion };
            using var response = await client.SendAsync(request);
            Assert.StartsWith(request.Method.Method + " ", origin.Heads.Last(), StringComparison.Ordinal);
        }

        await using var raw = await Wire.ConnectAsync(fixture.Running, "tls", origin.Authority);
        await AskAsync(raw, "tls", origin, "patch", "");
        Assert.StartsWith("patch ", origin.Heads.Last(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_HTTP_2_client_reaches_a_server_that_speaks_HTTP_1_1_alone_over_one_connection()
    {
        // Its end comes behind the head, and yet it has a length: in chunks it would be another request to servers that take none.
        await using var origin = Start("tls", ServeAsync);
        using var client = fixture.Running.Client(HttpVersion.Version20);
        for (var i = 0; i < 2; i++)
        {
            using var response = await client.PostAsync(new Uri($"https://{origin.Authority}/"), new StringContent(""));
            Assert.Equal("ok", await response.Content.ReadAsStringAsync());
        }

        Assert.Equal(1, origin.Connections);
        Assert.All(origin.Heads, head => Assert.Contains("Content-Length: 0\r\n", head + "\r\n", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("1.1")]
    [InlineData("2.0")]
    public async Task Fields_that_an_answer_names_as_the_connections_end_here(string version)
    {
        await using var origin = Start("tls", peer => ServeAsync(peer,
            "HTTP/1.1 200 OK\r\nUpgrade: h2c\r\nConnection: Upgrade, Keep-Alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nProxy-Connection: x\r\nX: 1\r\nContent-Length: 2\r\n\r\nok"));
        using var client = fixture.Running.Client(Version.Parse(version));
        using var response = await client.GetAsync(new Uri($"https://{origin.Authority}/"));

        Assert.Equal("ok", await response.Content.ReadAsStringAsync());
        Assert.Equal("1", Assert.Single(response.Headers.GetValues("X")));
        foreach (var name in (string[])["Upgrade", "X-Hop", "Keep-Alive", "Proxy-Connection"])
            Assert.False(response.Headers.Contains(name), name);
    }

    [Theory]
    [InlineData(600)]
    [InlineData(999)]
    [InlineData(299)]
    public async Task Any_status_is_passed_on(int status)
    {
        await using var origin = Start("plain", peer => ServeAsync(peer, $"HTTP/1.1 {status} As I say\r\nContent-Length: 2\r\n\r\nok"));
        await using var client = await Wire.ConnectAsync(fixture.Running, "plain", origin.Authority);
        for (var i = 0; i < 2; i++)
        {
            var answer = await AskAsync(client, "plain", origin, "GET", "");
            Assert.StartsWith($"HTTP/1.1 {status} As I say\r\n", answer, StringComparison.Ordinal);
            Assert.EndsWith("\r\n\r\nok", answer, StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nHTTP")]
    [InlineData("GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 4\r\n\r\nHTTP")]
    [InlineData("GET", "HTTP/1.1 204 No Content\r\nContent-Length: 4\r\n\r\nHTTP")]
    [InlineData("GET", "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")]
    [InlineData("GET", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" + "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison")]
    [InlineData("GET", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n" + "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison")]
    [InlineData("GET", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive\r\n\r\n2\r\nok\r\n0\r\n\r\n")]
    public async Task Bytes_that_belong_to_no_answer_are_part_of_none(string method, string said)
    {
        await using var origin = Start("plain", async peer =>
        {
            await peer.ReadHeadAsync();
            await peer.SayAsync(said);
            while (await peer.ReadHeadAsync() is not null)
                await peer.SayAsync("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison");
        });
        await using (var client = await Wire.ConnectAsync(fixture.Running, "plain", origin.Authority))
        {
            var answer = await AskAsync(client, "plain", origin, method, "");
            Assert.StartsWith($"HTTP/1.1 {said[9..12]}", answer, StringComparison.Ordinal);
            Assert.DoesNotContain("poison", answer, StringComparison.Ordinal);
        }

        await using var next = await Wire.ConnectAsync(fixture.Running, "plain", origin.Authority);
        await AskAsync(next, "plain", origin, "GET", "");
        Assert.Equal(2, origin.Connections);
    }

    [Theory]
    [InlineData("GET", "200", 2)]
    [InlineData("POST", "502", 1)]
    public async Task A_connection_that_ends_as_the_request_arrives_is_replaced_for_safe_methods_alone(string method, string expected, int arrived)
    {
        await using var origin = Start("plain", async peer =>
        {
            await peer.ReadHeadAsync();
            await peer.SayAsync(Ok);
            await peer.ReadHeadAsync();
            if (peer.Number > 1)
                await peer.SayAsync(Ok);
        });
        await using var client = await Wire.ConnectAsync(fixture.Running, "plain", origin.Authority);
        await AskAsync(client, "plain", origin, "GET", "");
        var answer = await AskAsync(client, "plain", origin, method, method == "POST" ? "Content-Length: 0\r\n" : "");

        Assert.StartsWith("HTTP/1.1 " + expected, answer, StringComparison.Ordinal);
        Assert.Equal(arrived, origin.Heads.Count(h => h.StartsWith(method, StringComparison.Ordinal)) - (method == "GET" ? 1 : 0));
    }

    [Theory]
    [InlineData("Content-Length: 2\r\nContent-Length: 3", "differ")]
    [InlineData("Content-Length: +2", "+2")]
    [InlineData("Transfer-Encoding: gzip, chunked", "gzip, chunked")]
    public async Task What_cannot_be_read_is_502_that_says_which_line(string fields, string says)
    {
        await using var origin = Start("plain", peer => ServeAsync(peer, $"HTTP/1.1 200 OK\r\n{fields}\r\n\r\nok"));
        await using var client = await Wire.ConnectAsync(fixture.Running, "plain", origin.Authority);
        var answer = await AskAsync(client, "plain", origin, "GET", "");

        Assert.StartsWith("HTTP/1.1 502 ", answer, StringComparison.Ordinal);
        Assert.Contains("X-Discobot-Error: upstream_malformed", answer, StringComparison.Ordinal);
        Assert.Contains(says, answer, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Answers_may_have_heads_of_a_quarter_of_a_mebibyte()
    {
        var cookies = string.Concat(Enumerable.Range(0, 200).Select(i => $"Set-Cookie: c{i}={new string('x', 1200)}\r\n"));
        await using var origin = Start("plain", peer => ServeAsync(peer, $"HTTP/1.1 200 OK\r\n{cookies}Content-Length: 2\r\n\r\nok"));
        await using var client = await Wire.ConnectAsync(fixture.Running, "plain", origin.Authority);
        var answer = await AskAsync(client, "plain", origin, "GET", "");

        Assert.Equal(200, answer.Split("\r\n").Count(l => l.StartsWith("Set-Cookie", StringComparison.OrdinalIgnoreCase)));
    }

    [Fact]
    public async Task A_body_of_HTTP_1_0_ends_with_the_connection()
    {
        await using var origin = Start("plain", async peer =>
        {
            await peer.ReadHeadAsync();
            await peer.SayAsync("HTTP/1.0 200 OK\r\n\r\nwhole");
        });
        using var client = fixture.Running.Client();
        Assert.Equal("whole", await client.GetStringAsync(new Uri($"http://{origin.Authority}/")));
    }

    [Fact]
    public async Task An_answer_begins_and_goes_on_while_the_body_is_still_being_sent()
    {
        await using var origin = Start("tls", async peer =>
        {
            await peer.ReadHeadAsync();
            await Wire.ReadUntilAsync(peer.Stream, "one\r\n");
            await peer.SayAsync("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nONE\r\n");
            await Wire.ReadUntilAsync(peer.Stream, "two\r\n");
            await peer.SayAsync("3\r\nTWO\r\n0\r\n\r\n");
        });
        await using var client = await Wire.ConnectAsync(fixture.Running, "tls", origin.Authority);
        await SayAsync(client, $"POST / HTTP/1.1\r\nHost: {origin.Authority}\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n");
        Assert.Contains("200", await Wire.ReadUntilAsync(client, "ONE\r\n").WaitAsync(Limit), StringComparison.Ordinal);
        await SayAsync(client, "3\r\ntwo\r\n0\r\n\r\n");
        await Wire.ReadUntilAsync(client, "TWO\r\n").WaitAsync(Limit);
    }

    [Theory]
    [InlineData("plain", true)]
    [InlineData("plain", false)]
    [InlineData("tls", true)]
    public async Task A_refusal_in_the_middle_of_an_upload_reaches_the_client(string way, bool chunked)
    {
        await using var origin = Start(way, async peer =>
        {
            await peer.ReadHeadAsync();
            await peer.SayAsync("HTTP/1.1 413 Too large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig");
        });
        await using var client = await Wire.ConnectAsync(fixture.Running, way, origin.Authority);
        var framing = chunked ? "Transfer-Encoding: chunked\r\n\r\n100000\r\n" : "Content-Length: 50000000\r\n\r\n";
        var prefix = way == "plain" ? $"http://{origin.Authority}" : "";
        await SayAsync(client, $"PUT {prefix}/ HTTP/1.1\r\nHost: {origin.Authority}\r\n{framing}{new string('x', 500_000)}");

        Assert.EndsWith("413 Too large\r\n", await Wire.ReadUntilAsync(client, "\r\n").WaitAsync(Limit), StringComparison.Ordinal);
        Assert.EndsWith("big", await Wire.ReadUntilAsync(client, "big").WaitAsync(Limit), StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_fields_after_a_request_body_reach_the_server()
    {
        var arrived = new TaskCompletionSource<string>();
        await using var origin = Start("plain", async peer =>
        {
            await peer.ReadHeadAsync();
            arrived.SetResult(await Wire.ReadUntilAsync(peer.Stream, "\r\n\r\n"));
            await peer.SayAsync(Ok);
        });
        await using var client = await Wire.ConnectAsync(fixture.Running, "plain", origin.Authority);
        await Wire.AskAsync(client, $"POST http://{origin.Authority}/ HTTP/1.1\r\nHost: {origin.Authority}\r\nTransfer-Encoding: chunked\r\nTrailer: Digest\r\n\r\n2\r\nok\r\n0\r\nDigest: x\r\n\r\n");

        Assert.Equal("2\r\nok\r\n0\r\nDigest: x\r\n\r\n", (await arrived.Task).Replace("digest", "Digest", StringComparison.Ordinal));
        Assert.Contains("Trailer: Digest", origin.Heads.Single(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_stream_of_events_may_be_silent_for_longer_than_other_answers()
    {
        await using var impatient = await RunningProxy.StartAsync(proxySection: ", upstream_timeout: 300ms");
        await using var origin = Start("plain", async peer =>
        {
            var head = await peer.ReadHeadAsync();
            await peer.SayAsync($"HTTP/1.1 200 OK\r\nContent-Type: {(head!.Contains("/events", StringComparison.Ordinal) ? "text/event-stream; charset=utf-8" : "text/plain")}\r\n\r\ndata: 1\n\n");
            // By time: silence beyond the limit of other answers.
            await Task.Delay(1500);
            await peer.SayAsync("data: 2\n\n");
        });
        using var client = impatient.Client();
        Assert.Equal("data: 1\n\ndata: 2\n\n", await client.GetStringAsync(new Uri($"http://{origin.Authority}/events")));
        await Assert.ThrowsAnyAsync<HttpRequestException>(() => client.GetStringAsync(new Uri($"http://{origin.Authority}/text")));
    }

    // As IIS does: who has proved it once is believed for the connection.
    private ScriptedOrigin StartProving(string way, string proof) => Start(way, async peer =>
    {
        var proved = false;
        while (await peer.ReadHeadAsync() is { } head)
        {
            proved |= head.Contains($"Authorization: {proof}", StringComparison.Ordinal);
            await peer.SayAsync(proved ? "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecret" : "HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n");
        }
    });

    private static Task ServeAsync(ScriptedOrigin.Peer peer) => ServeAsync(peer, Ok);

    private static async Task ServeAsync(ScriptedOrigin.Peer peer, string answer)
    {
        while (await peer.ReadHeadAsync() is not null)
            await peer.SayAsync(answer);
    }

    private static async Task<string> AskAsync(
        Stream client, string way, ScriptedOrigin origin, string method, string fields, string path = "/") =>
        await Wire.AskAsync(client,
            $"{method} {(way == "plain" ? $"http://{origin.Authority}" : "")}{path} HTTP/1.1\r\nHost: {origin.Authority}\r\n{fields}\r\n").WaitAsync(Limit);

    private static ValueTask SayAsync(Stream stream, string text) => stream.WriteAsync(Encoding.Latin1.GetBytes(text));

    private ScriptedOrigin Start(string way, Func<ScriptedOrigin.Peer, Task> script) =>
        ScriptedOrigin.Start(script, way == "tls" ? fixture.Certificate : null);
}
