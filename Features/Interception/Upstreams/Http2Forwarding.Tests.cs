using System.Net;
using Discobot.Tests.Fixtures;

namespace Discobot.Features.Interception.Upstreams;

/// <summary>What servers say by HTTP/2 that our own server for clients would not say.</summary>
public sealed class Http2ForwardingTests(SmugglingTests.Proxy fixture) : IClassFixture<SmugglingTests.Proxy>
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(20);

    [Theory]
    [InlineData("a\u0001b", "a b")]
    [InlineData("\u001b[1mbold\u001b[0m", " [1mbold [0m")]
    [InlineData("a\u007fb", "a b")]
    [InlineData("a\tb", "a\tb")]
    [InlineData("gr\u00fc\u00dfe", "gr\u00fc\u00dfe")]
    [InlineData("", "")]
    public async Task An_odd_value_of_a_field_makes_no_error_of_an_answer_that_was_fine(string sent, string expected)
    {
        await using var origin = ScriptedOrigin.StartHttp2(fixture.Certificate, "ok", [("x-odd", sent), ("x-two", "a"), ("x-two", "b")], [("x-after", sent), ("grpc-status", "0")]);

        using var answer = await AskAsync(origin);

        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        Assert.Equal([expected], answer.Headers.NonValidated["x-odd"]);
        Assert.Equal(["a", "b"], answer.Headers.NonValidated["x-two"].SelectMany(value => value.Split(", ")));
        Assert.Equal("ok", await answer.Content.ReadAsStringAsync());
        Assert.Equal([expected], answer.TrailingHeaders.NonValidated["x-after"]);
        Assert.Equal(["0"], answer.TrailingHeaders.NonValidated["grpc-status"]);
    }

    [Theory]
    [InlineData("2", 2L)]
    [InlineData("2, 2", 2L)]
    [InlineData("two", null)]
    [InlineData("+2", null)]
    [InlineData("2, 3", null)]
    public async Task A_length_that_is_none_makes_no_error_of_an_answer_that_was_fine(string sent, long? expected)
    {
        await using var origin = ScriptedOrigin.StartHttp2(fixture.Certificate, "ok", [("content-length", sent)]);

        using var answer = await AskAsync(origin);

        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        Assert.Equal(expected is { } length ? [$"{length}"] : [], answer.Content.Headers.NonValidated.TryGetValues("Content-Length", out var values) ? values : []);
        Assert.Equal("ok", await answer.Content.ReadAsStringAsync());
    }

    private async Task<HttpResponseMessage> AskAsync(ScriptedOrigin origin)
    {
        using var client = fixture.Running.Client(HttpVersion.Version20);
        return await client.GetAsync(new Uri($"https://{origin.Authority}/"), HttpCompletionOption.ResponseHeadersRead).WaitAsync(Limit);
    }
}
