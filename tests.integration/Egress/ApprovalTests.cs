using Discobot.Integration.Fixtures;
using Discobot.Tests.Fixtures;
using Microsoft.Playwright;
using static Microsoft.Playwright.Assertions;

namespace Discobot.Integration.Egress;

/// <summary>The way of docs/approvals.md from its first to its last line: an agent's program asks for what no rule decides, its operator sees the question in a browser and
/// answers it there, and the log tells of both.</summary>
[Collection("egress")]
public sealed class ApprovalTests(EgressSessions sessions, Chromium chromium) : IClassFixture<Chromium>
{
    [Fact]
    public async Task What_an_agent_installs_waits_for_a_click_and_the_log_tells_the_story()
    {
        await using var session = sessions.New(Distro.Debian, """
            egress: {mode: enforce}
            api: {listen: [0.0.0.0]}
            allowlist: {enabled: true, mode: ask, allow_private: true}

            """);
        session.Agent("pip install -q --disable-pip-version-check --no-cache-dir --target /tmp/p -i https://packages.test/simple upper 2>&1; echo pip has ended with $?; "
            + "PYTHONPATH=/tmp/p python3 -c 'import upper; print(\"upper is\", upper.what)'; exec sleep 1000");
        await session.StartAsync();
        await session.SeeAsync("startup completed");

        var page = await chromium.OpenAsync();
        await Chromium.VisitAsync(page, $"http://{await session.AddressAsync()}:17081/#blocked");
        var card = page.Locator("#blocked .card", new() { HasText = "packages.test" });
        await Expect(card).ToContainTextAsync("GET /simple/upper/");
        await page.Locator("#token").FillAsync((await session.ShellAsync("cat /.data/proxy/api.token")).Trim());
        await ClickAsync(page.Locator("body"), "Log in", until: page.Locator("#logged-in"));
        await ClickAsync(card, "Allow for the session", until: page.Locator("#blocked", new() { HasNot = page.Locator(".card") }));

        await session.SeeAsync("upper is installed\n");
        Assert.Contains("pip has ended with 0\n", await session.OutputAsync(), StringComparison.Ordinal);
        await page.GetByRole(AriaRole.Tab, new() { Name = "Traffic" }).ClickAsync();
        await Expect(page.Locator(".row:visible", new() { HasText = "/simple/upper" }).First).ToContainTextAsync("200");

        Assert.Matches(@"(?m)^ +[1-9][0-9]*  .* packages\.test$", await session.ExecAsync("discobot", "audit", "summary"));
        var log = await session.ExecAsync("discobot", "audit", "--host", "packages.test", "--json");
        Assert.Contains("\"entry\":\"approval\"", log, StringComparison.Ordinal);
        Assert.Matches("\"path\":\"/simple/upper/?\".*granted for the session by ", log);
        Assert.Contains("packages.test  until the proxy ends", await session.ExecAsync("discobot", "grants"), StringComparison.Ordinal);
    }

    // Where other tests make and remove networks meanwhile, the browser gives up what it asks just then, and tells so; people click again.
    private static async Task ClickAsync(ILocator place, string button, ILocator until)
    {
        for (var tries = 5; ; tries--)
        {
            await place.GetByRole(AriaRole.Button, new() { Name = button }).ClickAsync();
            try
            {
                await Expect(until).ToBeVisibleAsync(new() { Timeout = 10_000 });
                return;
            }
            catch (PlaywrightException) when (tries > 0)
            {
            }
        }
    }
}
