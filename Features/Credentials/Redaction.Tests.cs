using System.Text;
using Discobot.Tests.Fixtures;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace Discobot.Features.Credentials;

/// <summary>Servers that repeat what they were sent, and what the agent sees of it.</summary>
public sealed class RedactionTests : IAsyncLifetime
{
    private const string Secret = "gh/s3cret+of=the~operator";

    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(20);

    private readonly TaskCompletionSource _goOn = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly List<HttpClient> _clients = [];
    private RunningProxy _proxy = null!;
    private TestOrigin _origin = null!;
    private string _placeholder = "";

    public Task InitializeAsync()
    {
        Environment.SetEnvironmentVariable("DISCOBOT_TEST_REPEATED", Secret);
        return StartAsync("");
    }

    public async Task DisposeAsync()
    {
        _clients.ForEach(client => client.Dispose());
        await _origin.DisposeAsync();
        await _proxy.DisposeAsync();
    }

    [Theory]
    [InlineData("1.1")]
    [InlineData("2.0")]
    public async Task The_agent_sees_what_it_sent_in_fields_and_text_and_no_digest_of_something_else(string version)
    {
        using var answer = await AskAsync($"/text?key={_placeholder}", version);
        Assert.Equal($"got Bearer {_placeholder}, {_placeholder}, {_placeholder} and {_placeholder}.", await answer.Content.ReadAsStringAsync());
        Assert.Equal([$"a={_placeholder}", "plain", _placeholder], answer.Headers.GetValues("X-Echo").SelectMany(value => value.Split(", ")));
        Assert.False(answer.Content.Headers.NonValidated.Contains("Content-Length"));
        Assert.False(answer.Headers.Contains("Repr-Digest"));
        Assert.False(answer.Content.Headers.Contains("Content-MD5"));
        Assert.Equal("\"1\"", answer.Headers.ETag?.ToString());
        await Eventually.TrueAsync(async () => (await File.ReadAllTextAsync(_proxy.LogFile)).Contains(" host=localhost secrets=own ", StringComparison.Ordinal));
        Assert.DoesNotContain(Secret, await File.ReadAllTextAsync(_proxy.LogFile), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("/binary", "1.1")]
    [InlineData("/binary", "2.0")]
    [InlineData("/coded", "1.1")]
    [InlineData("/grpc", "2.0")]
    public async Task Other_bodies_pass_byte_by_byte_with_their_length(string path, string version)
    {
        using var answer = await AskAsync(path, version);
        Assert.Equal($"got Bearer {Secret}", await answer.Content.ReadAsStringAsync());
        Assert.Equal($"got Bearer {Secret}".Length, answer.Content.Headers.ContentLength);
        Assert.Equal("x", Assert.Single(answer.Headers.GetValues("Repr-Digest")));
    }

    [Theory]
    [InlineData("1.1")]
    [InlineData("2.0")]
    public async Task A_part_keeps_its_place_in_the_whole(string version)
    {
        using var answer = await AskAsync("/part", version);
        Assert.Equal($"got Bearer {new string('*', Secret.Length)}", await answer.Content.ReadAsStringAsync());
        Assert.Equal($"got Bearer {Secret}".Length, answer.Content.Headers.ContentLength);
    }

    [Theory]
    [InlineData("1.1")]
    [InlineData("2.0")]
    public async Task What_is_no_beginning_of_a_secret_waits_for_nothing(string version)
    {
        using var answer = await AskAsync("/stream", version, HttpCompletionOption.ResponseHeadersRead);
        await using var body = await answer.Content.ReadAsStreamAsync();
        var first = new byte["first ".Length];
        await body.ReadExactlyAsync(first);
        Assert.Equal("first ", Encoding.ASCII.GetString(first));
        _goOn.SetResult();
        Assert.Equal($"{_placeholder} last gh/s3", await new StreamReader(body).ReadToEndAsync());
    }

    [Theory]
    [InlineData("1.1")]
    [InlineData("2.0")]
    public async Task Requests_without_a_placeholder_see_it_as_little(string version)
    {
        using var answer = await AskAsync("/own", version, carries: false);
        Assert.Equal($"its own {_placeholder}", await answer.Content.ReadAsStringAsync());
    }

    /// <summary>By ways by which it never leaves a server may show it all the same.</summary>
    [Theory]
    [InlineData("http", "GET", "")]
    [InlineData("https", "TRACE", "")]
    [InlineData("https", "GET", ", insecure_hosts: [localhost]")]
    public async Task Nor_do_those_by_which_it_does_not_go_there(string scheme, string method, string tls)
    {
        await DisposeAsync();
        await StartAsync("", tls: tls);
        using var client = _proxy.Client();
        using var request = new HttpRequestMessage(new HttpMethod(method), $"{(scheme == "http" ? _origin.Http : _origin.Https)}/own");
        using var answer = await client.SendAsync(request);
        Assert.Equal($"its own {_placeholder}", await answer.Content.ReadAsStringAsync());
    }

    /// <summary>Length and digests are those of an answer to GET, which registries' clients read here.</summary>
    [Fact]
    public async Task Of_what_has_no_body_the_length_is_the_servers()
    {
        using var answer = await AskAsync("/own", "1.1", method: "HEAD");
        Assert.Equal($"its own {Secret}".Length, answer.Content.Headers.ContentLength);
    }

    [Fact]
    public async Task Several_parts_are_looked_into_as_one_is()
    {
        using var answer = await AskAsync("/parts", "1.1");
        Assert.Equal($"--b\r\n\r\ngot Bearer {new string('*', Secret.Length)}\r\n--b--", await answer.Content.ReadAsStringAsync());
    }

    /// <summary>As do servers that say in words why a token is none, or which page goes with it.</summary>
    [Fact]
    public async Task The_words_behind_a_status_and_interim_answers_tell_it_as_little()
    {
        await DisposeAsync();
        await StartAsync("", ", allow_plaintext: true");
        await using var server = ScriptedOrigin.Start(async peer =>
        {
            await peer.ReadHeadAsync();
            await peer.SayAsync($"HTTP/1.1 103 Early Hints\r\nLink: </{Secret}>\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </page>\r\n\r\nHTTP/1.1 401 No token {Secret}\r\nContent-Length: 0\r\n\r\n");
        });
        await using var client = await Wire.ConnectAsync(_proxy, "plain", server.Authority);
        await client.WriteAsync(Encoding.ASCII.GetBytes($"GET http://{server.Authority}/ HTTP/1.1\r\nHost: {server.Authority}\r\nAuthorization: Bearer {_placeholder}\r\nAccept-Encoding: gzip\r\n\r\n"));
        Assert.Equal("HTTP/1.1 103 Early Hints\r\nLink: </page>\r\n\r\n", await Wire.ReadUntilAsync(client, "\r\n\r\n").WaitAsync(Limit));
        Assert.Equal($"HTTP/1.1 401 No token {_placeholder}", (await Wire.ReadUntilAsync(client, "\r\n\r\n").WaitAsync(Limit)).Split("\r\n")[0]);
        // What it repeats is to be text that can be looked into.
        Assert.Contains("\r\nAccept-Encoding: identity", server.Heads.Single(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task User_and_password_that_come_back_together_are_what_was_sent()
    {
        Environment.SetEnvironmentVariable("DISCOBOT_TEST_USER", "the-user-name");
        await DisposeAsync();
        await StartAsync("\n  user: {value: \"env:DISCOBOT_TEST_USER\", hosts: [localhost]}\n");
        var user = (await File.ReadAllLinesAsync(Path.Combine(Path.GetDirectoryName(_proxy.LogFile)!, "placeholders.env"))).Single(line => line.StartsWith("# user=", StringComparison.Ordinal))["# user=".Length..];
        var sent = $"Basic {Convert.ToBase64String(Encoding.ASCII.GetBytes($"{user}:{_placeholder}"))}";
        using var answer = await AskAsync("/text?key=1", "1.1", credential: sent);
        Assert.StartsWith($"got {sent}, 1, ", await answer.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task With_redact_false_the_answer_is_the_servers()
    {
        await DisposeAsync();
        await StartAsync("", ", redact: false");
        using var answer = await AskAsync("/text?key=1", "1.1");
        Assert.Contains(Secret, await answer.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_is_kept_is_redacted_each_time()
    {
        await DisposeAsync();
        await StartAsync("\ncache: { dir: {DIR}/cache, rules: [{host: localhost, pattern: \"^/own\", mode: immutable}] }");
        await Eventually.TrueAsync(async () =>
        {
            using var answer = await AskAsync("/own", "1.1");
            Assert.Equal($"its own {_placeholder}", await answer.Content.ReadAsStringAsync());
            return answer.Headers.GetValues("X-Cache").Single() == "HIT";
        });
    }

    [Fact]
    public async Task However_a_body_is_cut_it_comes_out_the_same()
    {
        const string Body = "s3s3cret s3crets3cr s3-s3cret-and-more s3cret-an s3cre";
        const string Shown = "s3<a> <a>s3cr s3-<b>-more <a>-an s3cre";
        for (var one = 0; one <= Body.Length; one++)
        {
            for (var two = one; two <= Body.Length; two++)
            {
                var context = new DefaultHttpContext();
                using var seen = new MemoryStream();
                context.Features.Set<IHttpResponseBodyFeature>(new StreamResponseBodyFeature(seen));
                var redaction = new Redaction();
                redaction.Add("a", "s3cret", "<a>");
                redaction.Add("b", "s3cret-and", "<b>");
                var answer = new RedactedAnswer(context, redaction);
                foreach (var piece in (string[])[Body[..one], Body[one..two], Body[two..]])
                    await context.Response.WriteAsync(piece);
                Assert.InRange(Shown.Length - seen.Length, 0, "s3cret-and".Length - 1);
                await answer.EndAsync();
                await context.Response.BodyWriter.FlushAsync();
                Assert.Equal(Shown, Encoding.ASCII.GetString(seen.ToArray()));
            }
        }
    }

    [Theory]
    [InlineData("s3%2fToken%2bv%3d9")]
    [InlineData("s3/Token%2Bv%3D9")]
    [InlineData("%73%33%2FToken+v=9")]
    [InlineData("s3%2FTo%6b%65n+v%3d9")]
    [InlineData("s3\\/Token\\u002Bv\\u003d9")]
    public async Task A_server_encodes_of_a_secret_what_it_likes(string spelled)
    {
        var redaction = new Redaction();
        redaction.Add("a", "s3/Token+v=9", "<a>");
        Assert.Equal("/?k=<a>&%2", redaction.Filter($"/?k={spelled}&%2"));
        Assert.Equal("100% \\ s3%2fToken", redaction.Filter("100% \\ s3%2fToken"));
        for (var cut = 0; cut <= spelled.Length; cut++)
        {
            var context = new DefaultHttpContext();
            using var seen = new MemoryStream();
            context.Features.Set<IHttpResponseBodyFeature>(new StreamResponseBodyFeature(seen));
            var answer = new RedactedAnswer(context, redaction);
            await context.Response.WriteAsync($"50%{spelled[..cut]}");
            await context.Response.WriteAsync($"{spelled[cut..]}%");
            await answer.EndAsync();
            await context.Response.BodyWriter.FlushAsync();
            Assert.Equal("50%<a>%", Encoding.ASCII.GetString(seen.ToArray()));
        }
    }

    [Theory]
    [InlineData("a%25b-token", "a%25b-token")]
    [InlineData("a%25b-token", "a%2525b-token")]
    [InlineData("a\\/b-token", "a\\/b-token")]
    [InlineData("a\\/b-token", "a\\\\\\/b-token")]
    [InlineData("token-%", "token-%")]
    public void What_escapes_begin_with_may_be_of_the_secret_itself(string secret, string spelled)
    {
        var redaction = new Redaction();
        redaction.Add("a", secret, "<a>");
        Assert.Equal("(<a>)", redaction.Filter($"({spelled})"));
        Assert.Equal("<a>", redaction.Filter(spelled));
    }

    [Theory]
    [InlineData(true, "garbage")]
    [InlineData(true, "multipart/form-data; boundary=b")]
    [InlineData(true, "message/http")]
    [InlineData(true, "application/octet-stream", "Text/plain")]
    [InlineData(false, "application/octet-stream; name=\"a,b\"")]
    [InlineData(false, "image/png")]
    public void What_clients_may_take_for_text_is_looked_into(bool isText, params string[] types)
    {
        var context = new DefaultHttpContext();
        context.Response.Headers.ContentType = types;
        Assert.Equal(isText, new Redaction { }.OfBody(context.Response) is not null);
    }

    private async Task StartAsync(string more, string redact = "", string tls = "")
    {
        _proxy = await RunningProxy.StartAsync($$"""
            secrets:
              own: {value: "env:DISCOBOT_TEST_REPEATED", hosts: [localhost], in: [header, basic, query], env: TOKEN{{redact}} }
            """ + more, tls);
        _origin = await TestOrigin.StartAsync(_proxy.Upstreams.Issue(["localhost"]), AnswerAsync);
        _placeholder = (await File.ReadAllTextAsync(Path.Combine(Path.GetDirectoryName(_proxy.LogFile)!, "placeholders.env"))).Split('\n')[0]["TOKEN=".Length..];
    }

    private async Task AnswerAsync(HttpContext context)
    {
        var (response, sent) = (context.Response, context.Request.Headers.Authorization.ToString());
        response.ContentType = context.Request.Path.Value switch { "/binary" => "application/octet-stream", "/grpc" => "application/grpc+json", _ => "text/plain; charset=utf-8" };
        response.Headers["Repr-Digest"] = "x";
        if (HttpMethods.IsHead(context.Request.Method))
        {
            response.ContentLength = $"its own {Secret}".Length;
            return;
        }

        if (context.Request.Path == "/stream")
        {
            await response.WriteAsync($"first {Secret[..5]}");
            await _goOn.Task;
            await response.WriteAsync($"{Secret[5..]} last {Secret[..5]}");
            return;
        }

        var body = $"got {sent}";
        switch (context.Request.Path.Value)
        {
            case "/text":
                body = $"got {sent}, {context.Request.Query["key"]}, {Uri.EscapeDataString(Secret)} and {Secret.Replace("/", "\\/", StringComparison.Ordinal)}.";
                response.Headers.ETag = "\"1\"";
                response.Headers.ContentMD5 = "x";
                response.Headers["X-Echo"] = new([$"a={Secret}", "plain", Uri.EscapeDataString(Secret)]);
                break;
            case "/own":
                body = $"its own {Secret}";
                response.Headers.CacheControl = "public, max-age=3600";
                break;
            case "/coded":
                response.Headers.ContentEncoding = "x-kept";
                break;
            case "/parts":
                response.StatusCode = StatusCodes.Status206PartialContent;
                response.ContentType = "multipart/byteranges; boundary=b";
                body = $"--b\r\n\r\n{body}\r\n--b--";
                break;
            case "/part":
                response.StatusCode = StatusCodes.Status206PartialContent;
                response.Headers.ContentRange = $"bytes 0-{body.Length - 1}/1000";
                break;
        }

        response.ContentLength = body.Length;
        await response.WriteAsync(body);
    }

    private async Task<HttpResponseMessage> AskAsync(string path, string version, HttpCompletionOption until = HttpCompletionOption.ResponseContentRead, bool carries = true, string method = "GET",
        string? credential = null)
    {
        _clients.Add(_proxy.Client(Version.Parse(version)));
        using var request = new HttpRequestMessage(new HttpMethod(method), $"{_origin.Https}{path}") { Version = Version.Parse(version) };
        if (carries)
            request.Headers.TryAddWithoutValidation(path == "/own" ? "X-Key" : "Authorization", path == "/own" ? _placeholder : credential ?? $"Bearer {_placeholder}");
        return await _clients[^1].SendAsync(request, until);
    }
}
