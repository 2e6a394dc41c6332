using System.Text;
using Discobot.Tests.Fixtures;

namespace Discobot.Features.Cache;

/// <summary>The case of a method counts (RFC 9110, 9.1): what only looks like GET or HEAD is the server's to answer.</summary>
public sealed class MethodCaseTests
{
    [Theory]
    [InlineData("get")]
    [InlineData("Get")]
    [InlineData("head")]
    public async Task It_is_asked_of_the_server_and_what_is_said_answers_no_GET(string method)
    {
        var body = TemporaryCache.Body(3000);
        var stored = Encoding.Latin1.GetString(body);
        await using var proxy = await RunningProxy.StartAsync("allowlist: {enabled: true, allow_private: true, domains: [localhost]}\ncache: {rules: [{host: localhost, pattern: ^/r/, max_age: 1h}]}");
        await using var origin = ScriptedOrigin.Start(async peer =>
        {
            while (await peer.ReadHeadAsync() is { } head)
            {
                var said = head.StartsWith("GET ", StringComparison.Ordinal) ? stored : "another method's";
                await peer.SayAsync($"HTTP/1.1 200 OK\r\nContent-Length: {said.Length}\r\nCache-Control: max-age=600\r\n\r\n{said}");
            }
        });
        foreach (var path in (string[])[$"/v2/a/blobs/sha256:{TemporaryCache.HexOf(body)}", "/r/x"])
        {
            Assert.EndsWith("another method's", await AskAsync(proxy, origin, method, path), StringComparison.Ordinal);
            Assert.EndsWith(stored, await AskAsync(proxy, origin, "GET", path), StringComparison.Ordinal);
            Assert.EndsWith("another method's", await AskAsync(proxy, origin, method, path), StringComparison.Ordinal);
            // It may have changed what is there (RFC 9111, 4.4).
            Assert.EndsWith(stored, await AskAsync(proxy, origin, "GET", path), StringComparison.Ordinal);
            Assert.Contains("X-Cache: HIT\r\n", await AskAsync(proxy, origin, "GET", path), StringComparison.Ordinal);
        }
    }

    private static async Task<string> AskAsync(RunningProxy proxy, ScriptedOrigin origin, string method, string path)
    {
        await using var client = await Wire.ConnectAsync(proxy, "plain", origin.Authority);
        await client.WriteAsync(Encoding.ASCII.GetBytes($"{method} http://{origin.Authority}{path} HTTP/1.1\r\nHost: {origin.Authority}\r\nConnection: close\r\n\r\n"));
        return await Wire.ReadUntilAsync(client, null).WaitAsync(TimeSpan.FromSeconds(20));
    }
}
