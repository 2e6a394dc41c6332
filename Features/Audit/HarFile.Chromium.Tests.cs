using System.Net;
using System.Text.Json;
using Discobot.Tests.Fixtures;
using Microsoft.AspNetCore.Http;
using Microsoft.Playwright;

namespace Discobot.Features.Audit;

/// <summary>The archive in a browser, with nothing behind it.</summary>
[Collection(nameof(Alone))]
public sealed class HarFileInChromiumTests(Chromium chromium) : IClassFixture<Chromium>
{
    [Fact]
    public async Task A_browser_opens_the_archive_and_replays_what_has_passed()
    {
        var file = Path.Combine(Directory.CreateTempSubdirectory("discobot-test-").FullName, "passed.har");
        var asked = new List<(string Address, int Status)>();
        await using (var proxy = await RunningProxy.StartAsync("allowlist: {enabled: true, domains: [localhost]}"))
        {
            await using var origin = await TestOrigin.StartAsync(proxy.Upstreams.Issue(["localhost"]), context =>
            {
                context.Response.StatusCode = context.Request.Path.Value switch { "/gone" => 404, "/fails" => 503, _ => 200 };
                return context.Response.WriteAsync("twelve bytes");
            });
            using var client = proxy.Client();
            foreach (var address in (string[])[$"{origin.Https}/a?q=", $"{origin.Http}/b/%22%2F", $"{origin.Https}/gone", $"{origin.Http}/fails", "http://elsewhere.example/c"])
            {
                using var answer = await client.GetAsync(address);
                asked.Add((address, (int)answer.StatusCode));
            }

            using var api = proxy.Api();
            await Eventually.TrueAsync(async () =>
            {
                await File.WriteAllTextAsync(file, await api.GetStringAsync("/api/har"));
                return JsonElement.Parse(await File.ReadAllTextAsync(file)).GetProperty("log").GetProperty("entries").GetArrayLength() == asked.Count;
            });
        }

        Assert.Equal((int)HttpStatusCode.Forbidden, asked[^1].Status);
        var page = await chromium.OpenAsync();
        await page.RouteFromHARAsync(file, new() { NotFound = HarNotFound.Abort });
        foreach (var (address, status) in asked)
        {
            var answered = page.WaitForResponseAsync(address);
            try
            {
                await page.GotoAsync(address);
            }
            catch (PlaywrightException e) when (e.Message.Contains("ERR_HTTP_RESPONSE_CODE_FAILURE", StringComparison.Ordinal))
            {
                // What the archive has of a refusal is its status alone, which the browser shows by a page of its own.
            }

            Assert.Equal(status, (await answered).Status);
        }

        var other = await Assert.ThrowsAsync<PlaywrightException>(() => page.GotoAsync(asked[1].Address + "/not/archived"));
        Assert.Contains("ERR_FAILED", other.Message, StringComparison.Ordinal);
        Directory.Delete(Path.GetDirectoryName(file)!, recursive: true);
    }
}
