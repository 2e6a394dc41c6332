using System.Net;
using System.Text.Json;
using Discobot.Features.Certificates;
using Discobot.Tests.Fixtures;

namespace Discobot.Features.Interception;

/// <summary>A refusal in the form in which each client shows its reason.</summary>
public sealed class RefusalsTests : IAsyncLifetime
{
    private RunningProxy _proxy = null!;

    public async Task InitializeAsync() => _proxy = await RunningProxy.StartAsync("allowlist: {enabled: true, domains: [only.test]}");

    public async Task DisposeAsync() => await _proxy.DisposeAsync();

    [Theory]
    [InlineData("/v2/", "curl/8", "*/*", true)]
    [InlineData("/v2/library/alpine/manifests/3", "skopeo/1", "application/vnd.oci.image.index.v1+json", true)]
    [InlineData("/v2/library/alpine/blobs/sha256:0", "", "text/html", true)]
    [InlineData("/token?scope=x", "docker/26.1 go/go1.22", "", true)]
    [InlineData("/token", "containerd/1.7.24", "", true)]
    [InlineData("/v2x", "", "", false)]
    [InlineData("/x/v2/", "", "", false)]
    public async Task A_registrys_client_finds_it_where_registries_write_theirs(string path, string agent, string accept, bool isRegistry)
    {
        var (response, body) = await AskAsync(path, agent, accept);

        Assert.Equal("application/json", response.Content.Headers.ContentType?.MediaType);
        using var json = JsonDocument.Parse(body);
        AssertFields(json.RootElement);
        Assert.Equal(isRegistry, json.RootElement.TryGetProperty("errors", out var errors));
        if (!isRegistry)
            return;
        var error = Assert.Single(errors.EnumerateArray().ToArray());
        Assert.Equal("DENIED", error.GetProperty("code").GetString());
        Assert.Contains("no.test is not in allowlist.domains", error.GetProperty("message").GetString(), StringComparison.Ordinal);
        AssertFields(error.GetProperty("detail"));
    }

    /// <summary>Also of a request that was not understood.</summary>
    [Fact]
    public async Task A_registrys_client_finds_it_there_when_its_request_is_malformed()
    {
        using var client = new System.Net.Sockets.TcpClient("127.0.0.1", _proxy.Port);
        await client.GetStream().WriteAsync("GET http://only.test/v2/a#b HTTP/1.1\r\nHost: x\r\n\r\n"u8.ToArray());
        var answer = await Wire.ReadUntilAsync(client.GetStream(), null).WaitAsync(TimeSpan.FromSeconds(20));
        Assert.StartsWith("HTTP/1.1 400 ", answer, StringComparison.Ordinal);
        Assert.Contains("{\"errors\":[{\"code\":\"UNKNOWN\"", answer, StringComparison.Ordinal);
        Assert.Contains("\"host\":\"only.test\"", answer, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Git_gets_text_whatever_it_accepts()
    {
        var (response, body) = await AskAsync("/repo.git/info/refs?service=git-upload-pack", "git/2.39.5", "*/*");

        Assert.Equal("text/plain", response.Content.Headers.ContentType?.MediaType);
        Assert.StartsWith("Blocked by proxy: no.test is not in allowlist.domains", body, StringComparison.Ordinal);
    }

    [Fact]
    public void Git_itself_shows_it()
    {
        var shown = CertificateFixture.Run("git", "-c", FormattableString.Invariant($"http.proxy=http://127.0.0.1:{_proxy.Port}"),
            "ls-remote", "http://no.test/repo.git");

        Assert.Contains("remote: Blocked by proxy: no.test is not in allowlist.domains", shown, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Clients_that_show_nothing_but_the_reason_phrase_show_it_too()
    {
        var (response, _) = await AskAsync("/simple/x/", "pip/23", "*/*");

        Assert.StartsWith("Forbidden (proxy: no.test is not in allowlist.domains; ", response.ReasonPhrase, StringComparison.Ordinal);
    }

    /// <summary>"head" is another method than HEAD (RFC 9110, 9.1): what it gets has a body, by HTTP/2 as well.</summary>
    [Fact]
    public async Task A_method_that_looks_like_HEAD_gets_it_with_its_body()
    {
        await using var http2 = await RawHttp2.OpenAsync(_proxy, "localhost:443");
        await http2.SendAsync(RawHttp2.Headers, RawHttp2.EndHeaders | RawHttp2.EndStream, 1, RawHttp2.Fields([(":method", "head"), (":scheme", "https"), (":authority", "localhost"), (":path", "/")]));
        Assert.Equal("403", await http2.OutcomeAsync(1));

        using var client = new System.Net.Sockets.TcpClient("127.0.0.1", _proxy.Port);
        await client.GetStream().WriteAsync("head http://no.test/ HTTP/1.1\r\nHost: no.test\r\nConnection: close\r\n\r\n"u8.ToArray());
        var answer = await Wire.ReadUntilAsync(client.GetStream(), null).WaitAsync(TimeSpan.FromSeconds(20));
        Assert.StartsWith("HTTP/1.1 403 ", answer, StringComparison.Ordinal);
        Assert.Contains("\r\n\r\n{\"error\":\"blocked\"", answer, StringComparison.Ordinal);
    }

    private static void AssertFields(JsonElement json)
    {
        Assert.Equal("blocked", json.GetProperty("error").GetString());
        Assert.Equal("no.test", json.GetProperty("host").GetString());
        Assert.Equal("default", json.GetProperty("rule").GetString());
        Assert.Contains("allowlist.domains", json.GetProperty("reason").GetString(), StringComparison.Ordinal);
        Assert.NotEmpty(json.GetProperty("request_id").GetString()!);
    }

    private async Task<(HttpResponseMessage Response, string Body)> AskAsync(string path, string agent, string accept)
    {
        using var client = _proxy.Client();
        using var request = new HttpRequestMessage(HttpMethod.Get, "http://no.test" + path);
        request.Headers.TryAddWithoutValidation("User-Agent", agent);
        if (accept.Length > 0)
            request.Headers.TryAddWithoutValidation("Accept", accept);
        var response = await client.SendAsync(request);
        Assert.Equal(HttpStatusCode.Forbidden, response.StatusCode);
        Assert.Equal("blocked", Assert.Single(response.Headers.GetValues("X-Discobot-Error")));
        return (response, await response.Content.ReadAsStringAsync());
    }
}
