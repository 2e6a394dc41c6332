using System.CommandLine;
using System.Net;
using System.Text.Json;
using Discobot.Features.Audit;
using Discobot.Features.CommandLine.Commands;
using Discobot.Tests.Fixtures;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;

namespace Discobot.Features.Api;

/// <summary>What has passed, as the API and the tools that ask it show it.</summary>
public sealed class FlowEndpointsTests : IAsyncLifetime
{
    private RunningProxy _proxy = null!;
    private TestOrigin _origin = null!;

    public async Task InitializeAsync()
    {
        _proxy = await RunningProxy.StartAsync("""
            audit: {enabled: false}
            allowlist: {enabled: true, domains: [localhost], ips: [127.0.0.1]}
            """);
        _origin = await TestOrigin.StartAsync(_proxy.Upstreams.Issue(["localhost"]), context => context.Response.WriteAsync("twelve bytes"));
    }

    public async Task DisposeAsync()
    {
        await _origin.DisposeAsync();
        await _proxy.DisposeAsync();
    }

    [Fact]
    public async Task The_last_flows_are_there_in_their_order_also_without_an_audit_log()
    {
        await AskAsync($"{_origin.Https}/first?secret=value", $"{_origin.Http}/second", "http://elsewhere.example/third");
        using var api = _proxy.Api();
        JsonElement flows = default;
        await Eventually.TrueAsync(async () => (flows = JsonElement.Parse(await api.GetStringAsync("/api/flows")).GetProperty("flows")).GetArrayLength() == 3);

        Assert.Equal(["/first", "/second", "/third"], flows.EnumerateArray().Select(f => f.GetProperty("path").GetString()));
        Assert.Equal(["allowed", "allowed", "blocked"], flows.EnumerateArray().Select(f => f.GetProperty("verdict").GetString()));
        Assert.DoesNotContain("value", flows.GetRawText(), StringComparison.Ordinal);
    }

    [Fact]
    public void Only_so_many_and_so_much_of_them_is_kept()
    {
        var recent = new RecentFlows();
        for (var i = 0; i < RecentFlows.Most + 10; i++)
            recent.Ended(new Flow { Id = $"{i}", Entry = "http" });
        Assert.Equal((RecentFlows.Most, "10"), (recent.Kept().Count, recent.Kept()[0].Id));
        for (var i = 0; i < 1000; i++)
            recent.Ended(new Flow { Id = $"{i}", Entry = "http", PathAndQuery = new string('x', 32 << 10) });
        Assert.InRange(recent.Kept().Count, 10, 100);
    }

    [Fact]
    public async Task More_readers_of_the_stream_than_there_may_be_are_told_so_and_when_to_try_again()
    {
        using var api = _proxy.Api();
        var readers = new List<HttpResponseMessage>();
        for (var i = 0; i < RecentFlows.MaxWatching; i++)
            readers.Add(await api.GetAsync("/api/flows/stream", HttpCompletionOption.ResponseHeadersRead));
        Assert.All(readers, reader => Assert.Equal(HttpStatusCode.OK, reader.StatusCode));
        using (var refused = await api.GetAsync("/api/flows/stream", HttpCompletionOption.ResponseHeadersRead))
        {
            Assert.Equal((HttpStatusCode.ServiceUnavailable, "5"), (refused.StatusCode, refused.Headers.RetryAfter?.ToString()));
            Assert.Equal(
                "32 clients follow the stream, and no more can at a time: try again when one has left, or read /api/flows",
                JsonElement.Parse(await refused.Content.ReadAsStringAsync()).GetProperty("error").GetString());
        }

        // Who leaves makes room.
        readers[0].Dispose();
        await Eventually.TrueAsync(async () =>
        {
            using var next = await api.GetAsync("/api/flows/stream", HttpCompletionOption.ResponseHeadersRead);
            return next.StatusCode == HttpStatusCode.OK;
        });
        readers.ForEach(reader => reader.Dispose());
    }

    [Fact]
    public async Task An_archive_of_them_has_what_HAR_demands()
    {
        await AskAsync($"{_origin.Https}/a?q=secret", "http://elsewhere.example/b");
        JsonElement entries = default;
        await Eventually.TrueAsync(async () =>
        {
            entries = JsonElement.Parse(await RunAsync("har")).GetProperty("log").GetProperty("entries");
            return entries.GetArrayLength() == 2;
        });

        var entry = entries[0];
        Assert.Equal($"{_origin.Https}/a?q=", entry.GetProperty("request").GetProperty("url").GetString());
        Assert.Equal((200, 12), (entry.GetProperty("response").GetProperty("status").GetInt32(), entry.GetProperty("response").GetProperty("content").GetProperty("size").GetInt32()));
        Assert.True(entry.GetProperty("timings").GetProperty("ssl").GetDouble() > 0);
        Assert.DoesNotContain("secret", entries.GetRawText(), StringComparison.Ordinal);
        // HAR 1.2: what each entry must have.
        foreach (var name in new[] { "startedDateTime", "time", "cache", "timings" })
            Assert.True(entry.TryGetProperty(name, out _), name);
        foreach (var name in new[] { "method", "url", "httpVersion", "cookies", "headers", "queryString", "headersSize", "bodySize" })
            Assert.True(entry.GetProperty("request").TryGetProperty(name, out _), name);
        foreach (var name in new[] { "status", "statusText", "httpVersion", "cookies", "headers", "content", "redirectURL", "headersSize", "bodySize" })
            Assert.True(entry.GetProperty("response").TryGetProperty(name, out _), name);
    }

    [Fact]
    public async Task Who_watches_sees_each_as_it_ends_and_only_what_was_asked_for()
    {
        using var all = new StringWriter();
        using var blocked = new StringWriter();
        using var stop = new CancellationTokenSource();
        var watching = new[] { TailAsync(all, "--json", stop.Token), TailAsync(blocked, "--blocked", stop.Token) };
        // The first ones may come before they are listened to.
        await Eventually.TrueAsync(async () =>
        {
            await AskAsync($"{_origin.Http}/begin", "http://elsewhere.example/begin");
            return all.ToString().Contains("/begin", StringComparison.Ordinal) && blocked.ToString().Contains("/begin", StringComparison.Ordinal);
        });
        await AskAsync($"{_origin.Http}/fine", "http://elsewhere.example/not");
        await Eventually.TrueAsync(() => Task.FromResult(all.ToString().Contains("\"path\":\"/not\"", StringComparison.Ordinal) && blocked.ToString().Contains("/not", StringComparison.Ordinal)));
        await stop.CancelAsync();
        Assert.All(await Task.WhenAll(watching), code => Assert.Equal(0, code));

        Assert.Contains("\"path\":\"/fine\"", all.ToString(), StringComparison.Ordinal);
        Assert.DoesNotContain("/fine", blocked.ToString(), StringComparison.Ordinal);
        Assert.Contains(" 403     GET     http://elsewhere.example/not  ", blocked.ToString(), StringComparison.Ordinal);
        Assert.DoesNotContain('\e', blocked.ToString());
    }

    [Fact]
    public async Task A_proxy_that_ends_does_not_wait_for_who_watches()
    {
        using var seen = new StringWriter();
        using var error = new StringWriter();
        var watching = RootCommands.Create().Parse(["tail", "--api", $"http://127.0.0.1:{_proxy.ApiPort}"]).InvokeAsync(new InvocationConfiguration { Output = seen, Error = error });
        await Eventually.TrueAsync(async () =>
        {
            await AskAsync($"{_origin.Http}/begin");
            return seen.ToString().Contains("/begin", StringComparison.Ordinal);
        });
        await _proxy.Services.GetRequiredService<Microsoft.Extensions.Hosting.IHost>().StopAsync().WaitAsync(TimeSpan.FromSeconds(20));

        Assert.Equal(1, await watching.WaitAsync(TimeSpan.FromSeconds(20)));
        Assert.Contains("tail: ", error.ToString(), StringComparison.Ordinal);
    }

    private async Task AskAsync(params string[] addresses)
    {
        using var client = _proxy.Client();
        foreach (var address in addresses)
        {
            using var answer = await client.GetAsync(address);
            Assert.Equal(address.Contains("elsewhere", StringComparison.Ordinal) ? HttpStatusCode.Forbidden : HttpStatusCode.OK, answer.StatusCode);
        }
    }

    private Task<int> TailAsync(StringWriter output, string option, CancellationToken stop) => RootCommands.Create()
        .Parse(["tail", option, "--api", $"http://127.0.0.1:{_proxy.ApiPort}"])
        .InvokeAsync(new InvocationConfiguration { Output = TextWriter.Synchronized(output) }, stop);

    private async Task<string> RunAsync(string command)
    {
        using var output = new StringWriter();
        Assert.Equal(0, await RootCommands.Create().Parse([command, "--api", $"http://127.0.0.1:{_proxy.ApiPort}"]).InvokeAsync(new InvocationConfiguration { Output = output }));
        return output.ToString();
    }
}
