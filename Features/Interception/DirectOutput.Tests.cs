using System.Security.Cryptography;
using Discobot.Tests.Fixtures;
using Microsoft.AspNetCore.Http;

namespace Discobot.Features.Interception;

/// <summary>Answers larger than what a socket holds, to clients that read slowly or no more.</summary>
public sealed class DirectOutputTests : IAsyncLifetime
{
    private const int Size = 24 << 20;

    private readonly byte[] _body = RandomNumberGenerator.GetBytes(Size);
    private readonly TaskCompletionSource _abandoned = new();
    private RunningProxy _proxy = null!;
    private TestOrigin _origin = null!;

    public async Task InitializeAsync()
    {
        _proxy = await RunningProxy.StartAsync();
        _origin = await TestOrigin.StartAsync(_proxy.Upstreams.Issue(["localhost"]), AnswerAsync);
    }

    public async Task DisposeAsync()
    {
        await _origin.DisposeAsync();
        await _proxy.DisposeAsync();
    }

    private async Task AnswerAsync(HttpContext context)
    {
        using var _ = context.RequestAborted.Register(() => _abandoned.TrySetResult());
        do
            await context.Response.Body.WriteAsync(_body, context.RequestAborted);
        while (context.Request.Path == "/endless");
    }

    [Theory]
    [InlineData("http", "1.1")]
    [InlineData("https", "1.1")]
    [InlineData("https", "2.0")]
    public async Task A_client_that_pauses_gets_every_byte(string scheme, string version)
    {
        using var client = _proxy.Client(Version.Parse(version));
        using var answer = await client.GetAsync(new Uri($"{Origin(scheme)}/body"), HttpCompletionOption.ResponseHeadersRead);
        await using var stream = await answer.Content.ReadAsStreamAsync();
        var got = new byte[Size + 1];
        await stream.ReadExactlyAsync(got.AsMemory(0, 100));
        // By time: until every buffer on the way is full.
        await Task.Delay(300);

        Assert.Equal(Size - 100, await stream.ReadAtLeastAsync(got.AsMemory(100), Size - 99, throwOnEndOfStream: false));
        Assert.True(got.AsSpan(0, Size).SequenceEqual(_body));
    }

    [Theory]
    [InlineData("http")]
    [InlineData("https")]
    public async Task When_a_client_leaves_in_the_middle_the_download_ends_and_others_are_served(string scheme)
    {
        using (var client = _proxy.Client())
        {
            using var answer = await client.GetAsync(new Uri($"{Origin(scheme)}/endless"), HttpCompletionOption.ResponseHeadersRead);
            await using var stream = await answer.Content.ReadAsStreamAsync();
            await stream.ReadExactlyAsync(new byte[1 << 20]);
        }

        await _abandoned.Task.WaitAsync(TimeSpan.FromSeconds(20));

        using var other = _proxy.Client();
        Assert.Equal(Size, (await other.GetByteArrayAsync(new Uri($"{Origin(scheme)}/body"))).Length);
    }

    private string Origin(string scheme) => scheme == "http" ? _origin.Http : _origin.Https;
}
