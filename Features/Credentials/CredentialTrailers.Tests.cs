using System.Collections.Concurrent;
using System.Text;
using Discobot.Tests.Fixtures;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace Discobot.Features.Credentials;

/// <summary>Placeholders and secrets in the fields behind a body, and in the fields of a connection that reach the server.</summary>
public sealed class CredentialTrailersTests : IAsyncLifetime
{
    private const string Own = "own/s3cret+of=the~operator", Foreign = "foreign-s3cret-of-the-operator";

    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);

    private readonly ConcurrentQueue<string> _seen = new();
    private RunningProxy _proxy = null!;
    private TestOrigin _origin = null!;

    public async Task InitializeAsync()
    {
        Environment.SetEnvironmentVariable("DISCOBOT_TEST_BEHIND", Own);
        Environment.SetEnvironmentVariable("DISCOBOT_TEST_FOREIGN", Foreign);
        _proxy = await RunningProxy.StartAsync("""
            secrets:
              own: {value: "env:DISCOBOT_TEST_BEHIND", hosts: [localhost], env: OWN}
              foreign: {value: "env:DISCOBOT_TEST_FOREIGN", hosts: [elsewhere.example], env: FOREIGN}
            """);
        _origin = await TestOrigin.StartAsync(_proxy.Upstreams.Issue(["localhost"]), AnswerAsync);
    }

    public async Task DisposeAsync()
    {
        await _origin.DisposeAsync();
        await _proxy.DisposeAsync();
    }

    [Theory]
    [InlineData("1.1")]
    [InlineData("2.0")]
    public async Task The_named_host_gets_the_secret_and_the_agent_sees_its_placeholder(string version)
    {
        var answer = await AskAsync(version, "x-sum", "x-sum", $"a={Placeholder("OWN")}");
        Assert.Equal($"body|a={Own}|identity", Assert.Single(_seen));
        Assert.Contains($"got a={Placeholder("OWN")}", answer, StringComparison.Ordinal);
        Assert.DoesNotContain(Own, answer, StringComparison.Ordinal);
        await AssertToldAsync("\"injected\":[\"x-sum\"]");
    }

    [Theory]
    [InlineData("1.1", "{0}")]
    [InlineData("1.1", "x {1}")]
    [InlineData("1.1", "Basic {2}")]
    [InlineData("2.0", "{0}")]
    [InlineData("2.0", "x {1}")]
    [InlineData("2.0", "Basic {2}")]
    public async Task Another_host_does_not_get_the_request_to_its_end(string version, string value)
    {
        value = string.Format(null, value, Placeholder("FOREIGN"), Foreign, Convert.ToBase64String(Encoding.ASCII.GetBytes($"u:{Foreign}")));
        AssertRefused(await AskAsync(version, "x-sum", "x-sum", value), "foreign", "secrets.foreign.hosts does not name localhost");
        await AssertToldAsync("credential_refused");
    }

    [Theory]
    [InlineData("1.1", "", "x-sum", "{0}", "Trailer does not announce")]
    [InlineData("2.0", "", "x-sum", "{0}", "Trailer does not announce")]
    [InlineData("1.1", "x-sum", "x-sum", "Basic {1}", "credentials of Basic")]
    [InlineData("2.0", "x-sum", "{0}", "1", "in the name of a field")]
    [InlineData("1.1", "x-sum, {0}", "x-sum", "1", "in the name of a field")]
    public async Task Where_no_server_looks_for_it_its_own_host_does_not_get_it_either(string version, string announced, string name, string value, string reason)
    {
        string Filled(string text) => string.Format(null, text, Placeholder("OWN"), Convert.ToBase64String(Encoding.ASCII.GetBytes($"u:{Placeholder("OWN")}")));
        AssertRefused(await AskAsync(version, Filled(announced), Filled(name), Filled(value)), "own", reason);
    }

    /// <summary>They end here but for what they announce or offer, which the server gets as it came.</summary>
    [Theory]
    [InlineData("Trailer: {0}")]
    [InlineData("Trailer: {1}")]
    [InlineData("Connection: upgrade\r\nUpgrade: {0}")]
    [InlineData("Connection: upgrade\r\nUpgrade: {1}")]
    public async Task Fields_of_a_connection_carry_it_nowhere(string field)
    {
        field = string.Format(null, field, Placeholder("FOREIGN"), Foreign);
        await using var client = await Wire.ConnectAsync(_proxy, "tls", Authority);
        AssertRefused(await SayAsync(client, field + "\r\n", "x-sum: 1\r\n"), "foreign", "hosts does not name localhost");
    }

    [Theory]
    [InlineData("1.1", true)]
    [InlineData("1.1", false)]
    [InlineData("2.0", true)]
    [InlineData("2.0", false)]
    public async Task What_a_server_says_behind_its_body_shows_the_placeholder(string version, bool carries)
    {
        // Kestrel has no fields behind an answer by HTTP/1.1.
        await using var server = ScriptedOrigin.Start(async peer =>
        {
            await peer.ReadHeadAsync();
            await peer.SayAsync($"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x-echo\r\n\r\n2\r\nok\r\n0\r\nx-echo: k={Own}\r\n\r\n");
        }, _proxy.Upstreams.Issue(["localhost"]));
        using var client = _proxy.Client(Version.Parse(version));
        using var request = new HttpRequestMessage(HttpMethod.Get, $"https://{(version == "1.1" ? server.Authority : Authority)}/") { Version = Version.Parse(version) };
        if (carries)
            request.Headers.TryAddWithoutValidation("X-Key", Placeholder("OWN"));
        using var answer = await client.SendAsync(request);
        _ = await answer.Content.ReadAsStringAsync();
        Assert.Equal($"k={Placeholder("OWN")}", Assert.Single(answer.TrailingHeaders.GetValues("x-echo")));
    }

    private string Authority => $"localhost:{_origin.HttpsPort}";

    private async Task AnswerAsync(HttpContext context)
    {
        using var reader = new StreamReader(context.Request.Body);
        var body = await reader.ReadToEndAsync();
        var fields = context.Features.Get<IHttpRequestTrailersFeature>() is { Available: true } trailers ? trailers.Trailers["x-sum"].ToString() : "";
        _seen.Enqueue($"{body}|{fields}|{context.Request.Headers.AcceptEncoding}");
        context.Response.ContentType = "text/plain";
        await context.Response.WriteAsync($"got {fields}");
        if (context.Response.SupportsTrailers())
            context.Response.AppendTrailer("x-echo", $"k={Own}");
    }

    /// <summary>Sends a body and a field behind it.</summary>
    /// <returns>All that is answered; by HTTP/2 the body of it.</returns>
    private async Task<string> AskAsync(string version, string announced, string name, string value)
    {
        if (version == "1.1")
        {
            await using var stream = await Wire.ConnectAsync(_proxy, "tls", Authority);
            return await SayAsync(stream, announced.Length > 0 ? $"Trailer: {announced}\r\n" : "", $"{name}: {value}\r\n");
        }

        await using var client = await RawHttp2.OpenAsync(_proxy, Authority);
        IEnumerable<(string, string)> fields = [(":method", "POST"), (":scheme", "https"), (":authority", Authority), (":path", "/"), ("accept-encoding", "gzip"), .. announced.Length > 0 ? [("trailer", announced)] : Array.Empty<(string, string)>()];
        await client.SendAsync(RawHttp2.Headers, RawHttp2.EndHeaders, 1, RawHttp2.Fields(fields));
        await client.SendAsync(RawHttp2.Data, 0, 1, "body"u8.ToArray());
        await client.SendAsync(RawHttp2.Headers, RawHttp2.EndHeaders | RawHttp2.EndStream, 1, RawHttp2.Fields((name, value)));
        return await client.EndAsync(1, Limit);
    }

    private async Task<string> SayAsync(Stream client, string fields, string trailers)
    {
        await client.WriteAsync(Encoding.ASCII.GetBytes($"POST / HTTP/1.1\r\nHost: {Authority}\r\nAccept-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n{fields}\r\n4\r\nbody\r\n0\r\n{trailers}\r\n"));
        var head = await Wire.ReadUntilAsync(client, "\r\n\r\n").WaitAsync(Limit);
        return head + await Wire.ReadUntilAsync(client, head.Contains("chunked", StringComparison.OrdinalIgnoreCase) ? "0\r\n" : "}").WaitAsync(Limit);
    }

    private void AssertRefused(string answer, string secret, string reason)
    {
        Assert.Contains("credential_refused", answer, StringComparison.Ordinal);
        Assert.Contains($"secrets.{secret}", answer, StringComparison.Ordinal);
        Assert.Contains(reason, answer, StringComparison.Ordinal);
        Assert.Empty(_seen);
    }

    private string Placeholder(string name) => File.ReadAllLines(Path.Combine(Path.GetDirectoryName(_proxy.LogFile)!, "placeholders.env"))
        .Single(line => line.StartsWith(name + "=", StringComparison.Ordinal))[(name.Length + 1)..];

    private async Task AssertToldAsync(string what)
    {
        using var api = _proxy.Api();
        await Eventually.TrueAsync(async () => (await api.GetStringAsync("/api/flows")).Contains(what, StringComparison.Ordinal));
        foreach (var text in (string[])[await api.GetStringAsync("/api/flows"), await api.GetStringAsync("/api/har"), await File.ReadAllTextAsync(_proxy.LogFile)])
        {
            Assert.DoesNotContain(Own, text, StringComparison.Ordinal);
            Assert.DoesNotContain(Foreign, text, StringComparison.Ordinal);
        }
    }
}
