using System.Text;
using Discobot.Infrastructure.Http1;
using Discobot.Tests.Fixtures;

namespace Discobot.Features.Interception.Entries;

/// <summary>Blank lines before a request, left over from the one before (RFC 9112, 2.2): dropped as they come, counted, and no way to wait longer.</summary>
public sealed class BlankLinesTests(SmugglingTests.Proxy fixture) : IClassFixture<SmugglingTests.Proxy>
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(20);

    [Theory]
    [InlineData("plain", 1)]
    [InlineData("plain", RequestHead.MaxBlankLines)]
    [InlineData("tunnel", 1)]
    [InlineData("tunnel", RequestHead.MaxBlankLines)]
    [InlineData("tls", RequestHead.MaxBlankLines)]
    public async Task A_few_before_each_request_do_not_count(string way, int lines)
    {
        await using var origin = ScriptedOrigin.Start(ServeAsync, way == "tls" ? fixture.Certificate : null);
        await using var client = await Wire.ConnectAsync(fixture.Running, way, origin.Authority);
        var target = way == "plain" ? $"http://{origin.Authority}/" : "/";
        for (var i = 0; i < 3; i++)
        {
            foreach (var one in Blank(lines))
                await client.WriteAsync(new[] { one });
            await Wire.AskAsync(client, $"GET {target} HTTP/1.1\r\nHost: {origin.Authority}\r\n\r\n").WaitAsync(Limit);
        }

        Assert.Equal(3, origin.Heads.Count);
    }

    [Theory]
    [InlineData("plain", "", RequestHead.MaxBlankLines + 1)]
    [InlineData("plain", "", 200_000)]
    [InlineData("tunnel", "", RequestHead.MaxBlankLines + 1)]
    [InlineData("tunnel", "", 200_000)]
    [InlineData("tls", "", 200_000)]
    [InlineData("tunnel", "GET / HTTP/1.1\r\nHost: {host}\r\n\r\n", 200_000)]
    public async Task Many_are_refused_and_fill_no_memory(string way, string before, int lines)
    {
        await using var origin = ScriptedOrigin.Start(ServeAsync, way == "tls" ? fixture.Certificate : null);
        await using var client = await Wire.ConnectAsync(fixture.Running, way, origin.Authority);
        if (before.Length > 0)
            await Wire.AskAsync(client, before.Replace("{host}", origin.Authority, StringComparison.Ordinal));
        var sent = SendAsync(client, Blank(lines));

        var answer = await Wire.ReadUntilAsync(client, null).WaitAsync(Limit);

        Assert.StartsWith("HTTP/1.1 400 ", answer, StringComparison.Ordinal);
        Assert.Contains("blank lines", answer, StringComparison.Ordinal);
        await sent;
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(RequestHead.MaxBlankLines)]
    public async Task A_tunnel_may_be_asked_for_behind_some(int lines)
    {
        await using var origin = ScriptedOrigin.Start(ServeAsync);
        await using var atOnce = await Wire.ConnectAsync(fixture.Running, "plain", origin.Authority);
        await using var spread = await Wire.ConnectAsync(fixture.Running, "plain", origin.Authority);
        byte[] request = [.. Blank(lines), .. Encoding.ASCII.GetBytes($"CONNECT {origin.Authority} HTTP/1.1\r\nHost: {origin.Authority}\r\n\r\n")];
        await atOnce.WriteAsync(request);
        foreach (var one in request)
            await spread.WriteAsync(new[] { one });

        foreach (var client in (Stream[])[atOnce, spread])
        {
            Assert.StartsWith("HTTP/1.1 200 ", await Wire.ReadUntilAsync(client, "\r\n\r\n").WaitAsync(Limit), StringComparison.Ordinal);
            await Wire.AskAsync(client, $"GET / HTTP/1.1\r\nHost: {origin.Authority}\r\n\r\n").WaitAsync(Limit);
        }

        Assert.Equal(2, origin.Heads.Count);
    }

    private static byte[] Blank(int lines) => Encoding.ASCII.GetBytes(string.Concat(Enumerable.Repeat("\r\n", lines)));

    private static async Task SendAsync(Stream client, byte[] bytes)
    {
        try
        {
            await client.WriteAsync(bytes);
        }
        catch (IOException)
        {
            // Closed before the last of them.
        }
    }

    private static async Task ServeAsync(ScriptedOrigin.Peer peer)
    {
        while (await peer.ReadHeadAsync() is not null)
            await peer.SayAsync("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    }
}
