using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Text;
using Discobot.Tests.Fixtures;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace Discobot.Features.Interception.Upstreams;

/// <summary>Streams of HTTP/2, from a client through the proxy to a server: what belongs to them arrives.</summary>
public sealed class Http2StreamsTests(SmugglingTests.Proxy fixture) : IClassFixture<SmugglingTests.Proxy>
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);

    [Theory]
    [InlineData(false, "", 10)]
    [InlineData(true, "", 10)]
    [InlineData(true, "", 20_000)]
    [InlineData(true, "7", 10)]
    [InlineData(true, "", 127)]
    [InlineData(true, "", 400)]
    public async Task Trailers_of_a_request_arrive_at_a_server_of_HTTP_2(bool hasBody, string length, int size)
    {
        var seen = new ConcurrentQueue<string>();
        await using var origin = await TestOrigin.StartAsync(fixture.Certificate, async context =>
        {
            using var reader = new StreamReader(context.Request.Body);
            var body = await reader.ReadToEndAsync(context.RequestAborted);
            var trailers = context.Features.GetRequiredFeature<IHttpRequestTrailersFeature>().Trailers;
            seen.Enqueue($"{context.Request.Protocol} {string.Join(',', context.Request.Headers.Keys.Where(k => k.StartsWith('x') || k.StartsWith('X')))} {body} {trailers["x-sum"]} {trailers["x-two"]}");
        });
        var host = $"localhost:{origin.HttpsPort}";
        await using var client = await RawHttp2.OpenAsync(fixture.Running, host);
        for (var i = 0; i < 3; i++)
        {
            (string, string)[] fields = length.Length > 0 ? [("content-length", length)] : [];
            await SendAsync(client, host, 2 * i + 1, fields, hasBody ? "content" : null, [("x-sum", new string('s', size)), ("x-two", "2")]);
            Assert.Equal("200", await client.OutcomeAsync(2 * i + 1));
        }

        Assert.All(seen, one => Assert.Equal($"HTTP/2  {(hasBody ? "content" : "")} {new string('s', size)} 2", one));
        Assert.Equal(3, seen.Count);
    }

    [Theory]
    [InlineData("", "content")]
    [InlineData("7", "content")]
    [InlineData("", null)]
    [InlineData("0", null)]
    public async Task Trailers_of_a_request_arrive_at_a_server_of_HTTP_1_1(string length, string? body)
    {
        var seen = new TaskCompletionSource<string>();
        await using var origin = ScriptedOrigin.Start(async peer =>
        {
            await peer.ReadHeadAsync();
            seen.SetResult(await Wire.ReadUntilAsync(peer.Stream, "\r\n\r\n"));
            await peer.SayAsync("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        }, fixture.Certificate);
        await using var client = await RawHttp2.OpenAsync(fixture.Running, origin.Authority);
        (string, string)[] fields = length.Length > 0 ? [("trailer", "x-sum"), ("content-length", length)] : [];
        await SendAsync(client, origin.Authority, 1, fields, body, [("x-sum", "1")]);

        Assert.Equal((body is null ? "" : "7\r\ncontent\r\n") + "0\r\nx-sum: 1\r\n\r\n", await seen.Task.WaitAsync(Limit));
        Assert.Equal("200", await client.OutcomeAsync(1));
        Assert.DoesNotContain("Content-Length", Assert.Single(origin.Heads), StringComparison.OrdinalIgnoreCase);
    }

    [Theory]
    [InlineData(true, "content")]
    [InlineData(true, "")]
    [InlineData(false, "content")]
    [InlineData(false, "")]
    public async Task An_empty_section_of_trailers_ends_a_request(bool isHttp2, string content)
    {
        await using var first = ScriptedOrigin.Start(async peer =>
        {
            var isChunked = (await peer.ReadHeadAsync())!.Contains("chunked", StringComparison.OrdinalIgnoreCase);
            var body = isChunked ? (await Wire.ReadUntilAsync(peer.Stream, "0\r\n\r\n")).Split("\r\n").ElementAtOrDefault(1) : "";
            await peer.SayAsync($"HTTP/1.1 200 OK\r\nContent-Length: {body!.Length}\r\n\r\n{body}");
        }, fixture.Certificate);
        await using var second = await TestOrigin.StartAsync(fixture.Certificate, async context =>
        {
            using var reader = new StreamReader(context.Request.Body);
            await context.Response.WriteAsync(await reader.ReadToEndAsync(context.RequestAborted));
        });
        var host = isHttp2 ? $"localhost:{second.HttpsPort}" : first.Authority;
        await using var client = await RawHttp2.OpenAsync(fixture.Running, host);
        await SendAsync(client, host, 1, [], content.Length > 0 ? content : null, []);

        Assert.Equal($"200 {content}", await EndAsync(client, 1));
    }

    // What reads HTTP/2 here refuses it before it is ours to pass on; by HTTP/1.1 it passes (docs/wire.md).
    [Fact]
    public async Task A_path_with_a_percent_encoded_NUL_is_reset()
    {
        await using var origin = ScriptedOrigin.StartHttp2(fixture.Certificate, "x", []);
        await using var client = await RawHttp2.OpenAsync(fixture.Running, origin.Authority);
        await client.SendAsync(RawHttp2.Headers, RawHttp2.EndHeaders | RawHttp2.EndStream, 1, RawHttp2.Fields(Request(origin.Authority, "GET", "/a%00b")));
        Assert.Equal("reset 1", await EndAsync(client, 1));
        await client.SendAsync(RawHttp2.Headers, RawHttp2.EndHeaders | RawHttp2.EndStream, 3, RawHttp2.Fields(Request(origin.Authority, "GET", "/a?b=%00")));
        Assert.Equal("200 x", await EndAsync(client, 3));
    }

    [Theory]
    [InlineData(1, "")]
    [InlineData(2, "")]
    [InlineData(5, "")]
    [InlineData(7, "")]
    [InlineData(8, "")]
    [InlineData(11, "")]
    [InlineData(0, "part")]
    [InlineData(1, "part")]
    [InlineData(2, "part")]
    [InlineData(7, "part")]
    [InlineData(8, "part")]
    public async Task A_stream_that_the_server_resets_is_reset_with_its_code(int code, string said)
    {
        await using var origin = ScriptedOrigin.StartHttp2(fixture.Certificate, async (http2, frame) =>
        {
            if (frame.Type != RawHttp2.Headers)
                return;
            if (said.Length > 0)
            {
                await http2.SendAsync(RawHttp2.Headers, RawHttp2.EndHeaders, frame.Stream, RawHttp2.Fields((":status", "200")));
                await http2.SendAsync(RawHttp2.Data, 0, frame.Stream, Encoding.Latin1.GetBytes(said));
            }

            await http2.SendAsync(RawHttp2.ResetStream, 0, frame.Stream, [0, 0, 0, (byte)code]);
        });
        await using var client = await RawHttp2.OpenAsync(fixture.Running, origin.Authority);
        await client.SendAsync(RawHttp2.Headers, RawHttp2.EndHeaders | RawHttp2.EndStream, 1, RawHttp2.Fields(Request(origin.Authority, "GET", "/")));

        Assert.Equal($"reset {code}", await EndAsync(client, 1));
    }

    [Theory]
    [InlineData("head", 1)]
    [InlineData("head", 2)]
    [InlineData("body", 1)]
    [InlineData("body", 8)]
    [InlineData("body", 11)]
    [InlineData("upload", 2)]
    public async Task A_stream_that_the_client_resets_is_reset_with_its_code(string when, int code)
    {
        var (asked, heard) = (new TaskCompletionSource(), new TaskCompletionSource<string>());
        await using var origin = ScriptedOrigin.StartHttp2(fixture.Certificate, async (http2, frame) =>
        {
            if (frame.Type == RawHttp2.ResetStream)
                heard.TrySetResult($"reset {BinaryPrimitives.ReadInt32BigEndian(frame.Payload)}");
            if (frame.Type != RawHttp2.Headers)
                return;
            asked.SetResult();
            if (when != "head")
                await http2.SendAsync(RawHttp2.Headers, RawHttp2.EndHeaders, frame.Stream, RawHttp2.Fields((":status", "200")));
        });
        await using var client = await RawHttp2.OpenAsync(fixture.Running, origin.Authority);
        await client.SendAsync(RawHttp2.Headers, RawHttp2.EndHeaders | (when == "upload" ? 0 : RawHttp2.EndStream), 1, RawHttp2.Fields(Request(origin.Authority, when == "upload" ? "POST" : "GET", "/")));
        await asked.Task.WaitAsync(Limit);
        if (when != "head")
            Assert.Equal("200", await client.OutcomeAsync(1));
        await client.SendAsync(RawHttp2.ResetStream, 0, 1, [0, 0, 0, (byte)code]);

        Assert.Equal($"reset {code}", await heard.Task.WaitAsync(Limit));
    }

    [Theory]
    [InlineData("GET", "200 ")]
    [InlineData("POST", "200 content|reset 7")]
    public async Task What_a_server_refused_is_asked_again_or_left_to_the_client(string method, string outcomes)
    {
        var refused = false;
        var body = new StringBuilder();
        await using var origin = ScriptedOrigin.StartHttp2(fixture.Certificate, async (http2, frame) =>
        {
            if (frame.Type == RawHttp2.Headers && !refused)
            {
                refused = true;
                await http2.SendAsync(RawHttp2.ResetStream, 0, frame.Stream, [0, 0, 0, 7]);
                return;
            }

            if (frame.Stream <= 1)
                return;
            if (frame.Type == RawHttp2.Data)
                body.Append(Encoding.ASCII.GetString(frame.Payload));
            if (frame.Type is RawHttp2.Headers or RawHttp2.Data && (frame.Flags & RawHttp2.EndStream) != 0)
            {
                await http2.SendAsync(RawHttp2.Headers, RawHttp2.EndHeaders, frame.Stream, RawHttp2.Fields((":status", "200")));
                await http2.SendAsync(RawHttp2.Data, RawHttp2.EndStream, frame.Stream, Encoding.ASCII.GetBytes(body.ToString()));
            }
        });
        await using var client = await RawHttp2.OpenAsync(fixture.Running, origin.Authority);
        await client.SendAsync(RawHttp2.Headers, RawHttp2.EndHeaders | (method == "GET" ? RawHttp2.EndStream : 0), 1, RawHttp2.Fields(Request(origin.Authority, method, "/")));
        if (method != "GET")
            await client.SendAsync(RawHttp2.Data, RawHttp2.EndStream, 1, "content"u8.ToArray());

        Assert.Contains(await EndAsync(client, 1), outcomes.Split('|'));
    }

    // RFC 9113, 7: HTTP_1_1_REQUIRED.
    [Fact]
    public async Task A_server_that_wants_a_request_by_HTTP_1_1_gets_it_so()
    {
        await using var origin = ScriptedOrigin.StartBoth(fixture.Certificate,
            (http2, frame) => frame.Type == RawHttp2.Headers ? http2.SendAsync(RawHttp2.ResetStream, 0, frame.Stream, [0, 0, 0, 13]) : Task.CompletedTask,
            async peer =>
            {
                await peer.ReadHeadAsync();
                await peer.SayAsync("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
            });
        await using var client = await RawHttp2.OpenAsync(fixture.Running, origin.Authority);
        await client.SendAsync(RawHttp2.Headers, RawHttp2.EndHeaders | RawHttp2.EndStream, 1, RawHttp2.Fields([.. Request(origin.Authority, "GET", "/identity"), ("te", "trailers")]));

        Assert.Equal("200 ok", await EndAsync(client, 1));
        Assert.Equal($"GET /identity HTTP/1.1|Host: {origin.Authority}|TE: trailers|Connection: TE", Assert.Single(origin.Heads).Replace("\r\n", "|", StringComparison.Ordinal), ignoreCase: true);
    }

    // What is refused was not begun (RFC 9113, 8.7): it may be asked again, but only whole. A second head may leave before that is known, and is taken back.
    [Theory]
    [InlineData("reset")]
    [InlineData("goaway")]
    public async Task What_was_refused_when_some_of_its_body_had_gone_is_not_sent_again_in_part(string how)
    {
        var pieces = 0;
        await using var origin = ScriptedOrigin.StartHttp2(fixture.Certificate, async (http2, frame) =>
        {
            if (frame.Type == RawHttp2.Data)
                Interlocked.Increment(ref pieces);
            if (frame.Type == RawHttp2.Headers && (frame.Flags & RawHttp2.EndStream) != 0)
                await http2.SendAsync(RawHttp2.Headers, RawHttp2.EndHeaders | RawHttp2.EndStream, frame.Stream, RawHttp2.Fields((":status", "200")));
            else if (frame.Type == RawHttp2.Data && how == "reset")
                await http2.SendAsync(RawHttp2.ResetStream, 0, frame.Stream, [0, 0, 0, 7]);
            else if (frame.Type == RawHttp2.Data)
                await http2.SendAsync(RawHttp2.GoAway, 0, 0, new byte[8]);
        });
        await using var client = await RawHttp2.OpenAsync(fixture.Running, origin.Authority);
        await client.SendAsync(RawHttp2.Headers, RawHttp2.EndHeaders, 1, RawHttp2.Fields(Request(origin.Authority, "POST", "/")));
        await client.SendAsync(RawHttp2.Data, 0, 1, "content"u8.ToArray());

        Assert.Equal("reset 7", await EndAsync(client, 1));
        await client.SendAsync(RawHttp2.Headers, RawHttp2.EndHeaders | RawHttp2.EndStream, 3, RawHttp2.Fields(Request(origin.Authority, "GET", "/")));
        Assert.Equal("200 ", await EndAsync(client, 3));
        Assert.Equal(1, pieces);
    }

    [Theory]
    [InlineData("reset", 7)]
    [InlineData("goaway", 0)]
    public async Task What_was_refused_before_any_of_its_body_had_gone_is_asked_again_whole(string how, int code)
    {
        var (heads, again) = (0, new TaskCompletionSource());
        var body = new StringBuilder();
        await using var origin = ScriptedOrigin.StartHttp2(fixture.Certificate, async (http2, frame) =>
        {
            if (frame.Type == RawHttp2.Headers && Interlocked.Increment(ref heads) > 1)
                again.TrySetResult();
            else if (frame.Type == RawHttp2.Headers && how == "reset")
                await http2.SendAsync(RawHttp2.ResetStream, 0, frame.Stream, [0, 0, 0, (byte)code]);
            else if (frame.Type == RawHttp2.Headers)
                await http2.SendAsync(RawHttp2.GoAway, 0, 0, new byte[8]);
            if (frame.Type == RawHttp2.Data)
                body.Append(Encoding.ASCII.GetString(frame.Payload));
            if (frame.Type != RawHttp2.Data || (frame.Flags & RawHttp2.EndStream) == 0)
                return;
            await http2.SendAsync(RawHttp2.Headers, RawHttp2.EndHeaders, frame.Stream, RawHttp2.Fields((":status", "200")));
            await http2.SendAsync(RawHttp2.Data, RawHttp2.EndStream, frame.Stream, Encoding.ASCII.GetBytes(body.ToString()));
        });
        await using var client = await RawHttp2.OpenAsync(fixture.Running, origin.Authority);
        await client.SendAsync(RawHttp2.Headers, RawHttp2.EndHeaders, 1, RawHttp2.Fields(Request(origin.Authority, "POST", "/")));
        await again.Task.WaitAsync(Limit);
        await client.SendAsync(RawHttp2.Data, 0, 1, "con"u8.ToArray());
        await client.SendAsync(RawHttp2.Data, RawHttp2.EndStream, 1, "tent"u8.ToArray());

        Assert.Equal("200 content", await EndAsync(client, 1));
        Assert.Equal(2, heads);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_server_that_has_answered_gets_the_rest_of_the_request(bool isDirect)
    {
        var (body, whole) = (new StringBuilder(), new TaskCompletionSource<string>());
        await using var origin = ScriptedOrigin.StartHttp2(fixture.Certificate, async (http2, frame) =>
        {
            if (frame.Type == RawHttp2.Headers)
                await http2.SendAsync(RawHttp2.Headers, RawHttp2.EndHeaders | RawHttp2.EndStream, frame.Stream, RawHttp2.Fields((":status", "200")));
            if (frame.Type == RawHttp2.ResetStream)
                whole.TrySetResult($"reset {frame.Payload[3]}");
            if (frame.Type != RawHttp2.Data)
                return;
            body.Append(Encoding.ASCII.GetString(frame.Payload));
            if ((frame.Flags & RawHttp2.EndStream) != 0)
                whole.TrySetResult(body.ToString());
        });
        await using var client = await OpenAsync(isDirect, origin);
        await client.SendAsync(RawHttp2.Headers, RawHttp2.EndHeaders, 1, RawHttp2.Fields(Request(origin.Authority, "POST", "/")));
        Assert.Equal("200 ", await EndAsync(client, 1));
        await client.SendAsync(RawHttp2.Data, 0, 1, "con"u8.ToArray());
        await client.SendAsync(RawHttp2.Data, RawHttp2.EndStream, 1, "tent"u8.ToArray());

        Assert.Equal("content", await whole.Task.WaitAsync(Limit));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task One_that_wants_no_more_of_it_says_so(bool isDirect)
    {
        await using var origin = ScriptedOrigin.StartHttp2(fixture.Certificate, async (http2, frame) =>
        {
            if (frame.Type != RawHttp2.Headers)
                return;
            await http2.SendAsync(RawHttp2.Headers, RawHttp2.EndHeaders | RawHttp2.EndStream, frame.Stream, RawHttp2.Fields((":status", "200")));
            await http2.SendAsync(RawHttp2.ResetStream, 0, frame.Stream, new byte[4]);
        });
        await using var client = await OpenAsync(isDirect, origin);
        await client.SendAsync(RawHttp2.Headers, RawHttp2.EndHeaders, 1, RawHttp2.Fields(Request(origin.Authority, "POST", "/")));

        Assert.Equal("200 ", await EndAsync(client, 1));
        Assert.Equal("reset 0", await EndAsync(client, 1));
    }

    // ORIGIN (RFC 8336) and what nobody knows (RFC 9113, 5.5).
    [Theory]
    [InlineData(true, 1000)]
    [InlineData(false, 1000)]
    [InlineData(false, 1)]
    [InlineData(false, 7)]
    public async Task Frames_of_unknown_kinds_change_nothing(bool isDirect, int piece)
    {
        await using var origin = ScriptedOrigin.StartHttp2(fixture.Certificate, async (http2, frame) =>
        {
            if (frame.Type != RawHttp2.Headers)
                return;
            byte[] frames =
            [
                .. RawHttp2.Frame(12, 0, 0, "\0\u0009https://x"u8.ToArray()), .. RawHttp2.Frame(RawHttp2.Headers, RawHttp2.EndHeaders, frame.Stream, RawHttp2.Fields((":status", "200"))),
                .. RawHttp2.Frame(0xbe, 0xff, frame.Stream, []), .. RawHttp2.Frame(RawHttp2.Data, 0, frame.Stream, "some"u8.ToArray()),
                .. RawHttp2.Frame(0xee, 0, frame.Stream, new byte[5000]), .. RawHttp2.Frame(RawHttp2.Data, RawHttp2.EndStream, frame.Stream, "thing"u8.ToArray()),
            ];
            foreach (var part in frames.Chunk(piece))
                await http2.SendAsync(part);
        });
        await using var client = await OpenAsync(isDirect, origin);
        for (var stream = 1; stream < 6; stream += 2)
        {
            await client.SendAsync(RawHttp2.Headers, RawHttp2.EndHeaders | RawHttp2.EndStream, stream, RawHttp2.Fields(Request(origin.Authority, "GET", "/")));
            Assert.Equal("200 something", await EndAsync(client, stream));
        }

        Assert.Equal(1, origin.Connections);
    }

    [Theory]
    [InlineData("10", "reset 2")]
    // As far as its head has been passed on.
    [InlineData("2", "reset 2|upstream_malformed")]
    [InlineData("3", "200 abc")]
    public async Task An_answer_of_another_length_than_it_says_is_the_servers_fault(string length, string ends)
    {
        await using var origin = ScriptedOrigin.StartHttp2(fixture.Certificate, "abc", [("content-length", length)]);
        await using var client = await RawHttp2.OpenAsync(fixture.Running, origin.Authority);
        await client.SendAsync(RawHttp2.Headers, RawHttp2.EndHeaders | RawHttp2.EndStream, 1, RawHttp2.Fields(Request(origin.Authority, "GET", "/")));

        var end = await EndAsync(client, 1);
        Assert.Contains(ends.Split('|'), one => end.Contains(one, StringComparison.Ordinal));
    }

    /// <summary>It is that of what would have been sent (RFC 9110, 8.6).</summary>
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_304_may_have_a_length_of_what_it_does_not_send(bool isDirect)
    {
        await using var origin = ScriptedOrigin.StartHttp2(fixture.Certificate, async (http2, frame) =>
        {
            if (frame.Type == RawHttp2.Headers)
                await http2.SendAsync(RawHttp2.Headers, RawHttp2.EndHeaders | RawHttp2.EndStream, frame.Stream, RawHttp2.Fields((":status", "304"), ("etag", "\"a\""), ("content-length", "5120")));
        });
        await using var client = await OpenAsync(isDirect, origin);
        await client.SendAsync(RawHttp2.Headers, RawHttp2.EndHeaders | RawHttp2.EndStream, 1, RawHttp2.Fields([.. Request(origin.Authority, "GET", "/"), ("if-none-match", "\"a\"")]));

        // In order, that is.
        Assert.Equal("200 ", await EndAsync(client, 1));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_field_may_be_long(bool isDirect)
    {
        await using var origin = ScriptedOrigin.StartHttp2(fixture.Certificate, async (http2, frame) =>
        {
            if (frame.Type == RawHttp2.Continuation && (frame.Flags & RawHttp2.EndHeaders) != 0)
                await http2.SendAsync(RawHttp2.Headers, RawHttp2.EndHeaders | RawHttp2.EndStream, frame.Stream, RawHttp2.Fields((":status", "200"), ("x", new string('y', 10_000))));
        });
        await using var client = await OpenAsync(isDirect, origin);
        var pieces = RawHttp2.Fields([.. Request(origin.Authority, "GET", "/"), ("x", new string('x', 50_000))]).Chunk(16_000).ToArray();
        for (var i = 0; i < pieces.Length; i++)
            await client.SendAsync(i == 0 ? RawHttp2.Headers : RawHttp2.Continuation, (i == 0 ? RawHttp2.EndStream : 0) | (i == pieces.Length - 1 ? RawHttp2.EndHeaders : 0), 1, pieces[i]);

        Assert.Equal("200 ", await EndAsync(client, 1));
    }

    [Fact]
    public async Task An_answer_may_announce_what_follows_its_body()
    {
        await using var origin = ScriptedOrigin.StartHttp2(fixture.Certificate, "abc", [("trailer", "x-sum")], [("x-sum", "1")]);
        using var client = fixture.Running.Client(System.Net.HttpVersion.Version20);
        using var answer = await client.GetAsync(new Uri($"https://{origin.Authority}/"));

        Assert.Equal("x-sum", Assert.Single(answer.Headers.Trailer));
        Assert.Equal("1", Assert.Single(answer.TrailingHeaders.GetValues("x-sum")));
    }

    [Fact]
    public void Nothing_is_kept_of_a_request_that_is_over()
    {
        var trailers = new RequestTrailers();
        var sent = trailers.Watch();
        for (var stream = 1; stream < 20; stream += 2)
        {
            using var message = new HttpRequestMessage();
            using (var place = trailers.Reserve(message, static () => null))
            {
                var mark = Assert.Single(message.Headers);
                byte[] head = [.. RawHttp2.Fields((":path", "/"), (mark.Key, place.Mark))];
                byte[] expected = RawHttp2.Frame(RawHttp2.Headers, RawHttp2.EndHeaders, stream, RawHttp2.Fields((":path", "/")));
                byte[] preface = stream == 1 ? "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"u8.ToArray() : [];
                Assert.Equal([.. preface, .. expected], sent.Pass((byte[])[.. preface, .. RawHttp2.Frame(RawHttp2.Headers, RawHttp2.EndHeaders, stream, head)]).ToArray());
                Assert.Equal(1, sent.Count);
            }

            Assert.Equal(0, sent.Count);
        }
    }

    [Theory]
    [InlineData("GET", "/z\u00c3\u00bcrich", "1.1")]
    [InlineData("GET", "/%7a\u00c3\u00bc?%7a", "1.1")]
    [InlineData("OPTIONS", "*", "1.1")]
    [InlineData("OPTIONS", "*", "2.0")]
    public async Task A_target_arrives_byte_for_byte(string method, string path, string server)
    {
        var seen = new TaskCompletionSource<string>();
        await using var both = await TestOrigin.StartAsync(fixture.Certificate, context =>
        {
            seen.TrySetResult($"{context.Request.Method} {context.Features.GetRequiredFeature<IHttpRequestFeature>().RawTarget}");
            return Task.CompletedTask;
        });
        await using var first = ScriptedOrigin.Start(async peer =>
        {
            seen.TrySetResult((await peer.ReadHeadAsync() ?? "").Split(" HTTP/1.1")[0]);
            await peer.SayAsync("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        }, fixture.Certificate);
        var host = server == "2.0" ? $"localhost:{both.HttpsPort}" : first.Authority;
        await using var client = await RawHttp2.OpenAsync(fixture.Running, host);
        await client.SendAsync(RawHttp2.Headers, RawHttp2.EndHeaders | RawHttp2.EndStream, 1, RawHttp2.Fields(Request(host, method, path)));

        Assert.Equal("200", await client.OutcomeAsync(1));
        Assert.Equal($"{method} {path}", await seen.Task.WaitAsync(Limit));
    }

    private Task<RawHttp2> OpenAsync(bool isDirect, ScriptedOrigin origin) =>
        isDirect ? RawHttp2.OpenDirectlyAsync(fixture.Running.Upstreams, origin.Authority) : RawHttp2.OpenAsync(fixture.Running, origin.Authority);

    private static IEnumerable<(string, string)> Request(string host, string method, string path) =>
        [(":method", method), (":scheme", "https"), (":authority", host), (":path", path)];

    private static async Task SendAsync(RawHttp2 client, string host, int stream, (string, string)[] fields, string? body, (string, string)[] trailers)
    {
        await client.SendAsync(RawHttp2.Headers, RawHttp2.EndHeaders, stream, RawHttp2.Fields([.. Request(host, "POST", "/"), .. fields]));
        if (body is not null)
            await client.SendAsync(RawHttp2.Data, 0, stream, Encoding.ASCII.GetBytes(body));
        byte[][] pieces = trailers.Length > 0 ? [.. RawHttp2.Fields(trailers).Chunk(16_000)] : [[]];
        for (var i = 0; i < pieces.Length; i++)
        {
            await client.SendAsync(i == 0 ? RawHttp2.Headers : RawHttp2.Continuation,
                (i == 0 ? RawHttp2.EndStream : 0) | (i == pieces.Length - 1 ? RawHttp2.EndHeaders : 0), stream, pieces[i]);
        }
    }

    private static Task<string> EndAsync(RawHttp2 client, int stream) => client.EndAsync(stream, Limit);
}
