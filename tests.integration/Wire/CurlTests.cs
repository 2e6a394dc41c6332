using System.Text;
using Discobot.Integration.Fixtures;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace Discobot.Integration.Wire;

/// <summary>The client everybody has, over each protocol, and what the server behind the proxy sees of it.</summary>
public sealed class CurlTests(WireFixture fixture) : IClassFixture<WireFixture>
{
    [Theory]
    [InlineData("--http1.1", "1.1")]
    [InlineData("--http2", "2")]
    public async Task Curl_trusts_the_leaf_and_speaks_its_protocol(string option, string version)
    {
        await using var origin = await fixture.OriginAsync(context => context.Response.WriteAsync("hello over " + context.Request.Protocol));
        var said = await fixture.Proxy.CurlAsync(option, "-w", " and %{http_version}", origin.Https.ToString());
        Assert.Equal($"hello over HTTP/{version} and {version}", said);
    }

    [Fact]
    public async Task Curl_reaches_a_server_known_by_its_address_alone()
    {
        await using var origin = await fixture.OriginAsync(context => context.Response.WriteAsync("hello"));
        Assert.Equal("hello", await fixture.Proxy.CurlAsync($"https://127.0.0.1:{origin.Https.Port}/"));
    }

    [Fact]
    public async Task The_request_arrives_as_it_was_sent()
    {
        var seen = new TaskCompletionSource<(string Target, IHeaderDictionary Headers)>();
        await using var origin = await fixture.OriginAsync(context =>
        {
            var headers = new HeaderDictionary();
            foreach (var (name, value) in context.Request.Headers)
                headers[name] = value;
            seen.TrySetResult((context.Features.Get<IHttpRequestFeature>()!.RawTarget, headers));
            return Task.CompletedTask;
        });
        await fixture.Proxy.CurlAsync("--path-as-is", "-H", "X-Twice: 1", "-H", "X-Twice: 2", "-H", "Accept-Encoding: gzip", "-H", "Accept:",
            origin.Https + "@scope%2Fname/../x%20y?q=%41");

        var (target, headers) = await seen.Task;
        Assert.Equal("/@scope%2Fname/../x%20y?q=%41", target);
        // RFC 9110, 5.3: one field of two values, or two fields in that order, are the same.
        Assert.Equal("1, 2", string.Join(", ", headers["X-Twice"].ToArray()));
        Assert.Equal("gzip", headers.AcceptEncoding);
        Assert.Equal(["accept-encoding", "host", "user-agent", "x-twice"], headers.Keys.Where(name => name[0] != ':').Select(name => name.ToLowerInvariant()).Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task A_refused_upload_is_not_asked_for_its_body()
    {
        await using var origin = await fixture.OriginAsync(context =>
        {
            context.Response.StatusCode = StatusCodes.Status403Forbidden;
            return context.Response.WriteAsync("no");
        });
        var file = Path.Combine(fixture.Proxy.Folder, "upload");
        await File.WriteAllBytesAsync(file, new byte[20_000_000]);
        var said = await fixture.Proxy.CurlAsync("--http1.1", "-H", "Expect: 100-continue", "--expect100-timeout", "20", "-T", file,
            "-w", " %{http_code} after %{size_upload}", origin.Http.ToString());
        Assert.Equal("no 403 after 0", said);
    }

    [Fact]
    public async Task Repeated_fields_of_an_answer_stay_apart()
    {
        await using var origin = await fixture.OriginAsync(context =>
        {
            context.Response.Headers.SetCookie = new(["a=1; Path=/", "b=2, or so"]);
            return Task.CompletedTask;
        });
        var said = await fixture.Proxy.CurlAsync("-i", origin.Https.ToString());
        Assert.Contains("set-cookie: a=1; Path=/\r\nset-cookie: b=2, or so\r\n", said, StringComparison.OrdinalIgnoreCase);
    }

    [Fact]
    public async Task A_compressed_body_and_its_length_stay_as_they_are()
    {
        var body = Encoding.ASCII.GetBytes("not really brotli, and nobody looks");
        await using var origin = await fixture.OriginAsync(async context =>
        {
            context.Response.Headers.ContentEncoding = "br";
            context.Response.ContentLength = body.Length;
            await context.Response.Body.WriteAsync(body);
        });
        var said = await fixture.Proxy.CurlAsync("-i", "--raw", origin.Https.ToString());
        Assert.Contains("content-encoding: br", said, StringComparison.OrdinalIgnoreCase);
        Assert.Contains($"content-length: {body.Length}", said, StringComparison.OrdinalIgnoreCase);
        Assert.EndsWith("nobody looks", said, StringComparison.Ordinal);
    }
}
