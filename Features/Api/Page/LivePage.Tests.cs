using System.Collections.Concurrent;
using System.Net;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Discobot.Features.Audit;
using Discobot.Features.Configuration;
using Discobot.Infrastructure.Wire;
using Discobot.Tests.Fixtures;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Playwright;
using static Microsoft.Playwright.Assertions;

namespace Discobot.Features.Api.Page;

/// <summary>The page, in a browser, before a proxy that serves. Alone: where others make and remove networks, a browser gives up what it asks just then.</summary>
[Collection(nameof(Alone))]
public sealed partial class LivePageTests(Chromium chromium) : IClassFixture<Chromium>, IAsyncLifetime
{
    private readonly ConcurrentQueue<string> _asked = [];
    private readonly ConcurrentQueue<string> _complaints = [];
    private readonly List<HttpClient> _clients = [];
    private RunningProxy _proxy = null!;
    private TestOrigin _origin = null!;

    private string Address => $"http://localhost:{_proxy.ApiPort}/";

    public async Task InitializeAsync()
    {
        _proxy = await RunningProxy.StartAsync("""
            audit: {enabled: false}
            allowlist: {enabled: true, mode: ask, presets: [npm], domains: [localhost], ips: [127.0.0.1], deny: [denied.example]}
            """);
        _origin = await TestOrigin.StartAsync(_proxy.Upstreams.Issue(["localhost"]), context => context.Response.WriteAsync("twelve bytes"));
    }

    public async Task DisposeAsync()
    {
        foreach (var client in _clients)
            client.Dispose();
        await _origin.DisposeAsync();
        await _proxy.DisposeAsync();
    }

    [Fact]
    public async Task Traffic_is_shown_as_it_passes_filtered_and_in_detail()
    {
        await AskAsync($"{_origin.Https}/open/before?key=value");
        var page = await OpenAsync();
        await Expect(Row(page, "/open/before")).ToBeVisibleAsync();
        await AskAsync($"{_origin.Http}/open/after", "http://denied.example/secret");
        await Expect(page.Locator(".row:visible")).ToHaveCountAsync(3);
        await Expect(page.Locator(".row:visible").First).ToContainTextAsync("403 blocked");

        await page.GetByLabel("Filter by").FillAsync("OPEN after");
        await Expect(page.Locator(".row:visible")).ToHaveCountAsync(1);
        await page.GetByLabel("Filter by").FillAsync("");
        await page.Locator("#only-blocked").CheckAsync();
        await Expect(page.Locator("#counted")).ToHaveTextAsync("1 of 3");
        await page.Locator("#only-blocked").UncheckAsync();
        await page.GetByLabel("Status").SelectOptionAsync("2");
        await Expect(page.Locator("#counted")).ToHaveTextAsync("2 of 3");
        await page.Locator("#cached").SelectOptionAsync("hit");
        await Expect(page.Locator("#counted")).ToHaveTextAsync("0 of 3");
        await page.Locator("#cached").SelectOptionAsync("");

        // By the keyboard alone: the list, its first row, its details, and back.
        await page.Locator("#list").FocusAsync();
        await page.Keyboard.PressAsync("Home");
        await page.Keyboard.PressAsync("ArrowDown");
        var details = page.Locator("#details");
        await Expect(details).ToContainTextAsync($"https://localhost:{_origin.HttpsPort}/open/before?key");
        await Expect(details).ToContainTextAsync(Path.GetFileName(Environment.ProcessPath!));
        await Expect(details.Locator(".bar")).ToHaveAttributeAsync("aria-label", TimesPattern());
        await Expect(details.Locator(".explained")).ToContainTextAsync("allowed by");
        await Expect(details).Not.ToContainTextAsync("value");
        await page.Keyboard.PressAsync("Escape");
        await Expect(details).ToBeHiddenAsync();
        await Expect(page.Locator("#list")).ToBeFocusedAsync();
        AssertKeptToItself();
    }

    [Fact]
    public async Task Each_tab_shows_what_the_API_tells()
    {
        await AskAsync($"{_origin.Https}/open/{new string('a', 20)}", "http://denied.example/");
        var page = await OpenAsync();
        await page.GetByRole(AriaRole.Tab, new() { Name = "Traffic" }).FocusAsync();
        foreach (var (name, text) in new[]
        {
            ("Blocked", "denied.example"), ("Hosts", "localhost"), ("Cache", "hit rate"), ("Policy", "{host: \"registry.npmjs.org\", methods: [GET]}"), ("Health", "authority expires"),
        })
        {
            await page.Keyboard.PressAsync("ArrowRight");
            var tab = page.GetByRole(AriaRole.Tab, new() { Name = name });
            await Expect(tab).ToBeFocusedAsync();
            await Expect(tab).ToHaveAttributeAsync("aria-selected", "true");
            await Expect(page.GetByRole(AriaRole.Tabpanel, new() { Name = name })).ToContainTextAsync(text);
        }

        await Expect(page.Locator("#health")).ToContainTextAsync("ok");
        await page.Keyboard.PressAsync("ArrowLeft");
        await Expect(page.Locator("#policy tr", new() { HasText = "deny" }).First).ToContainTextAsync("\"denied.example\"allowlist.deny");
        await Expect(page.Locator("#policy tr", new() { HasText = "registry.npmjs.org" })).ToContainTextAsync("preset npm");
        await page.Keyboard.PressAsync("End");
        await page.Keyboard.PressAsync("ArrowRight");
        await Expect(page.GetByRole(AriaRole.Tab, new() { Name = "Traffic" })).ToBeFocusedAsync();
        await page.GetByRole(AriaRole.Tab, new() { Name = "Hosts" }).ClickAsync();
        await Expect(page.Locator("#hosts tr", new() { HasText = "localhost" }).Locator(".requests path")).ToHaveAttributeAsync("d", PlotPattern());
        AssertKeptToItself();
    }

    [Fact]
    public async Task What_is_asked_is_answered_with_the_token_alone()
    {
        AskAboutEverything();
        var page = await OpenAsync("blocked");
        using var client = _proxy.Client();
        var waiting = client.GetAsync($"{_origin.Https}/closed");
        var card = page.Locator("#blocked .card", new() { HasText = "/closed" });
        await card.GetByRole(AriaRole.Button, new() { Name = "Policy line" }).ClickAsync();
        await Expect(card.Locator("pre")).ToContainTextAsync("allowlist:\n  domains:\n    - \"localhost\"");
        await card.GetByRole(AriaRole.Button, new() { Name = "Allow for the session" }).ClickAsync();
        await Expect(page.Locator("#notice")).ToContainTextAsync("needs the token");
        await Expect(page.Locator("#token")).ToBeFocusedAsync();
        Assert.False(waiting.IsCompleted);

        await page.Keyboard.TypeAsync("not-the-token-of-this-proxy");
        await page.Keyboard.PressAsync("Enter");
        await Expect(page.Locator("#notice")).ToContainTextAsync("not the token");
        await LogInAsync(page);
        await card.GetByRole(AriaRole.Button, new() { Name = "Allow once" }).ClickAsync();
        Assert.Equal("twelve bytes", await (await waiting).Content.ReadAsStringAsync());
        await Expect(card).ToHaveCountAsync(0);
        // Until it is over, other requests to the host pass as well.
        using var api = new HttpClient();
        await Eventually.TrueAsync(async () => JsonNode.Parse(await api.GetStringAsync($"{Address}api/grants"))!.AsArray().Count == 0);

        waiting = client.GetAsync($"{_origin.Https}/closed/again");
        await page.Locator(".card", new() { HasText = "/closed/again" }).GetByRole(AriaRole.Button, new() { Name = "Allow for the session" }).ClickAsync();
        Assert.Equal(HttpStatusCode.OK, (await waiting).StatusCode);
        await page.GetByRole(AriaRole.Tab, new() { Name = "Policy" }).ClickAsync();
        await page.Locator("#policy tr", new() { HasText = "page at" }).GetByRole(AriaRole.Button, new() { Name = "Take back" }).ClickAsync();
        await Expect(page.Locator("#policy")).ToContainTextAsync("No answer counts.");

        // The page keeps the token nowhere: who loads it again has to say it again.
        Assert.Equal(0, await page.EvaluateAsync<int>("localStorage.length + sessionStorage.length + document.cookie.length"));
        await Chromium.VisitAsync(page, Address);
        await Expect(page.Locator("#token")).ToBeVisibleAsync();
        AssertKeptToItself();
    }

    [Fact]
    public async Task A_double_click_answers_one_question_and_what_is_not_HTTP_is_named_by_its_port()
    {
        var raw = new Flow { Id = "raw", Entry = "transparent", Host = "database.example", Port = 5432, Protocol = "tcp", Client = new FlowClient(new IPEndPoint(IPAddress.Loopback, 1)) };
        Tell(raw, EgressVerdict.Refuse("default", "database.example:5432 is not in allowlist.domains"));
        var page = await OpenAsync("blocked");
        await LogInAsync(page);
        using var client = _proxy.Client();
        var asked = new[] { "one", "two" }.Select(name => client.GetAsync($"http://{name}.example/")).ToArray();
        var cards = page.Locator("#blocked .card", new() { HasText = "waiting" });
        await Expect(cards).ToHaveCountAsync(2);
        await cards.First.GetByRole(AriaRole.Button, new() { Name = "Deny" }).DblClickAsync();
        await Expect(cards).ToHaveCountAsync(1);
        using var denied = await await Task.WhenAny(asked);
        Assert.Equal(HttpStatusCode.Forbidden, denied.StatusCode);
        Assert.Equal(1, asked.Count(request => !request.IsCompleted));
        await cards.First.GetByRole(AriaRole.Button, new() { Name = "Deny" }).ClickAsync();
        Assert.All(await Task.WhenAll(asked), answer => Assert.Equal(HttpStatusCode.Forbidden, answer.StatusCode));

        var card = page.Locator("#blocked .card", new() { HasText = "database.example" });
        await card.GetByRole(AriaRole.Button, new() { Name = "Policy line" }).ClickAsync();
        await Expect(card.Locator("pre")).ToContainTextAsync("{host: \"database.example\", ports: [5432]}");
        AssertKeptToItself();
    }

    [Fact]
    public async Task What_hosts_paths_and_programs_say_is_text()
    {
        const string mark = "<img src=/nothing onerror=alert(1)><script>alert(1)</script>";
        var client = new FlowClient(new IPEndPoint(IPAddress.Loopback, 1)) { Program = new ClientProgram(1000, 7, $"/tmp/{mark}", [mark]) };
        Tell(new Flow { Id = "bidi", Entry = "http", Client = client, Method = "GET", Scheme = "https", Host = "\u202emoc.elgoog\u2066", PathAndQuery = $"/\u202e{mark}\u0007?{mark}=1", Error = mark });
        Tell(new Flow { Id = "long", Entry = "http", Client = client, Method = mark, Scheme = mark, Host = $"{mark}.example", PathAndQuery = "/" + new string('x', 8192) + "/end" }, EgressVerdict.Refuse(mark, mark));
        await AskAsync($"http://denied.example/{Uri.EscapeDataString(mark)}");
        var page = await OpenAsync();
        var row = Row(page, "elgoog");
        await Expect(row.Locator(".host")).ToHaveTextAsync("\\u{202e}moc.elgoog\\u{2066}");
        await Expect(row.Locator(".path")).ToContainTextAsync("/\\u{202e}<img src=");
        Assert.Equal("isolate", await row.Locator(".host").EvaluateAsync<string>("e => getComputedStyle(e).unicodeBidi"));
        await row.ClickAsync();
        await Expect(page.Locator("#details")).ToContainTextAsync(mark);
        await Row(page, ".example").Nth(1).ClickAsync();
        await Expect(page.Locator("#details .address")).ToContainTextAsync("xxx/end");
        foreach (var name in new[] { "Blocked", "Hosts", "Policy" })
        {
            await page.GetByRole(AriaRole.Tab, new() { Name = name }).ClickAsync();
            if (name != "Policy")
                await Expect(page.GetByRole(AriaRole.Tabpanel)).ToContainTextAsync($"{mark}.example");
        }

        Assert.Equal(0, await page.Locator("img").CountAsync());
        Assert.Equal(1, await page.Locator("script").CountAsync());
        Assert.True(await page.EvaluateAsync<bool>("document.documentElement.scrollWidth <= innerWidth"));
        AssertKeptToItself();
    }

    [Fact]
    public async Task A_flood_freezes_nothing_and_moves_nothing()
    {
        var page = await OpenAsync();
        await page.EvaluateAsync("""
            () => {
              window.moved = 0;
              new PerformanceObserver(list => { for (const e of list.getEntries()) window.moved += e.value; }).observe({ type: 'layout-shift' });
            }
            """);
        Tell(Some(0));
        await Expect(page.Locator(".row:visible")).ToHaveCountAsync(1);
        using var stop = new CancellationTokenSource();
        var flood = Task.Run(async () =>
        {
            using var tick = new PeriodicTimer(TimeSpan.FromMilliseconds(20));
            var sent = 1;
            for (; sent < 3000 || !stop.IsCancellationRequested; await tick.WaitForNextTickAsync())
            {
                for (var i = 0; i < 20; i++)
                    Tell(Some(sent++));
            }

            return sent;
        });
        await Expect(page.Locator("#counted")).ToHaveTextAsync("2,000 of 2,000");

        // It is used meanwhile: a filter, a request that is opened and stays under the pointer, another tab.
        await page.GetByLabel("Filter by").FillAsync("h3.example");
        await Expect(page.Locator(".row:visible").First).ToContainTextAsync("h3.example");
        await page.Locator(".row:visible").Nth(4).ClickAsync();
        var chosen = await page.Locator("#details .address").TextContentAsync();
        await Expect(page.Locator("#latest")).ToHaveTextAsync(NewerPattern());
        Assert.Contains(await page.Locator(".row[aria-selected=true] .path").TextContentAsync() ?? "?", chosen, StringComparison.Ordinal);
        Assert.InRange(await page.EvaluateAsync<double>("window.moved"), 0, 0.01);
        await page.GetByRole(AriaRole.Tab, new() { Name = "Hosts" }).ClickAsync();
        await Expect(page.Locator("#hosts tr", new() { HasText = "h3.example" })).ToBeVisibleAsync();
        await stop.CancelAsync();
        var last = await flood - 1;

        await page.GetByRole(AriaRole.Tab, new() { Name = "Traffic" }).ClickAsync();
        await page.Locator("#latest").ClickAsync();
        await page.GetByLabel("Filter by").FillAsync("");
        await Expect(page.Locator(".row:visible").First).ToContainTextAsync($"/{last}");
        Assert.InRange(await page.Locator(".row").CountAsync(), 10, 100);
        AssertKeptToItself();
    }

    [Fact]
    public async Task It_goes_on_by_itself_after_the_proxy_was_restarted()
    {
        await AskAsync($"{_origin.Http}/open/before");
        var page = await OpenAsync();
        await Expect(page.Locator(".row:visible")).ToHaveCountAsync(1);
        await _proxy.EndAsync();
        await Expect(page.Locator("#connection")).ToHaveTextAsync("reconnecting");
        await _proxy.BeginAsync();
        await AskAsync($"{_origin.Http}/open/after");
        await Expect(page.Locator("#connection")).ToHaveTextAsync("live");
        await Expect(Row(page, "/open/after")).ToBeVisibleAsync();
        await Expect(Row(page, "/open/before")).ToBeVisibleAsync();
        AssertKeptToItself();
    }

    [Fact]
    public async Task It_is_readable_narrow_and_wide_light_and_dark()
    {
        for (var i = 0; i < 60; i++)
            Tell(Some(i));
        await AskAsync($"{_origin.Https}/open/one", $"{_origin.Https}/open/one", "http://denied.example/reports/2026?name=value");
        AskAboutEverything();
        using var client = _proxy.Client();
        using var leave = new CancellationTokenSource();
        var waiting = client.GetAsync($"{_origin.Https}/closed", leave.Token);
        var page = await OpenAsync();
        await Expect(page.Locator("#waiting")).ToHaveTextAsync("1");
        foreach (var (name, text) in new[]
        {
            ("Traffic", "denied.example"), ("Details", ""), ("Blocked", "denied.example"), ("Hosts", "h39.example"), ("Cache", "hit rate"), ("Policy", "preset npm"), ("Health", "authority expires"),
        })
        {
            if (name == "Details")
            {
                await page.GetByRole(AriaRole.Tab, new() { Name = "Traffic" }).ClickAsync();
                await Row(page, "/open/one").First.ClickAsync();
                await Expect(page.Locator("#details .explained")).ToContainTextAsync("allowlist");
            }
            else
            {
                await page.GetByRole(AriaRole.Tab, new() { Name = name }).ClickAsync();
                await Expect(page.GetByRole(AriaRole.Tabpanel)).ToContainTextAsync(text);
            }

            if (name == "Blocked")
            {
                await page.Locator(".card").First.GetByRole(AriaRole.Button, new() { Name = "Policy line" }).ClickAsync();
                await Expect(page.Locator(".card pre")).ToBeVisibleAsync();
            }

            foreach (var (width, scheme) in new[] { (400, ColorScheme.Light), (400, ColorScheme.Dark), (1600, ColorScheme.Dark), (1600, ColorScheme.Light) })
            {
                await page.SetViewportSizeAsync(width, 850);
                await page.EmulateMediaAsync(new() { ColorScheme = scheme });
                await page.ScreenshotAsync(new() { Path = Path.Combine(Checkout.Top(), "artifacts", "page", $"{name.ToLowerInvariant()}-{width}-{scheme.ToString().ToLowerInvariant()}.png") });
                Assert.Equal("", await page.EvaluateAsync<string>(Unreadable));
                Assert.True(await page.EvaluateAsync<bool>("document.documentElement.scrollWidth <= innerWidth"), $"{name} is wider than {width} pixels");
            }
        }

        await leave.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waiting);
        AssertKeptToItself();
    }

    [Fact]
    public async Task It_loads_nothing_from_elsewhere_and_answers_to_the_names_of_this_machine_alone()
    {
        using var api = _proxy.Api();
        foreach (var path in new[] { "/", "/page.js", "/page.css", "/icon.svg" })
        {
            using var answer = await api.GetAsync(path);
            Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
            Assert.Equal(
                "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
                answer.Headers.GetValues("Content-Security-Policy").Single());
            Assert.Equal(("nosniff", "no-referrer", "no-store"), (answer.Headers.GetValues("X-Content-Type-Options").Single(), answer.Headers.GetValues("Referrer-Policy").Single(), answer.Headers.CacheControl!.ToString()));
            Assert.DoesNotMatch(InlinePattern(), path == "/" ? await answer.Content.ReadAsStringAsync() : "");
            using var rebound = new HttpRequestMessage(HttpMethod.Get, path) { Headers = { Host = "evil.example" } };
            using var refused = await api.SendAsync(rebound);
            Assert.Equal(HttpStatusCode.MisdirectedRequest, refused.StatusCode);
        }
    }

    [Fact]
    public async Task Without_it_there_is_nothing_and_where_all_needs_the_token_it_asks_for_it()
    {
        await using (var without = await RunningProxy.StartAsync("api: {ui: false, token_file: \"{DIR}/api.token\"}"))
        {
            using var api = without.Api();
            foreach (var path in new[] { "/", "/page.js" })
            {
                using var answer = await api.GetAsync(path);
                Assert.Equal((HttpStatusCode.NotFound, $$"""{"error":"nothing is at {{path}}"}"""), (answer.StatusCode, (await answer.Content.ReadAsStringAsync()).Trim()));
            }
        }

        await _proxy.DisposeAsync();
        _proxy = await RunningProxy.StartAsync("api: {protect: all, token_file: \"{DIR}/api.token\"}");
        Tell(Some(1));
        var page = await OpenAsync();
        await Expect(page.Locator("#connection")).ToHaveTextAsync("needs the token");
        await Expect(page.Locator(".row:visible")).ToHaveCountAsync(0);
        await LogInAsync(page);
        await Expect(page.Locator("#connection")).ToHaveTextAsync("live");
        await Expect(page.Locator(".row:visible")).ToHaveCountAsync(1);
        await page.GetByRole(AriaRole.Button, new() { Name = "Log out" }).ClickAsync();
        await Expect(page.Locator("#connection")).ToHaveTextAsync("needs the token");
        await Expect(page.Locator(".row:visible")).ToHaveCountAsync(0);
        AssertKeptToItself();
    }

    private static ILocator Row(IPage page, string text) => page.Locator(".row:visible", new() { HasText = text });

    private static Flow Some(int i)
    {
        var flow = new Flow
        {
            Id = $"19ac2e1b{i:x5}",
            Entry = i % 3 == 0 ? "connect" : "http",
            Method = i % 7 == 0 ? "POST" : "GET",
            Scheme = "https",
            Host = $"h{i % 40}.example",
            Port = 443,
            PathAndQuery = $"/packages/{i}",
            Protocol = "h2",
            Status = i % 13 == 0 ? 403 : i % 11 == 0 ? 503 : i % 5 == 0 ? 404 : 200,
            ResponseBytes = i * 1009L % 5_000_000,
            RequestBytes = i % 900,
            Cache = i % 2 == 0 ? FlowCache.Hit : FlowCache.Miss,
            Client = new FlowClient(new IPEndPoint(IPAddress.Loopback, 40_000)) { Program = new ClientProgram(1000, 1234, "/usr/bin/python3.11", ["/usr/bin/bash"]) },
        };
        flow.Decide(i % 13 == 0 ? EgressVerdict.Refuse("default", "") : EgressVerdict.Allow("*.example"));
        flow.Use(new ConnectionTimes(IPAddress.Parse("192.0.2.7"), TimeSpan.FromMilliseconds(3), TimeSpan.FromMilliseconds(8), TimeSpan.FromMilliseconds(12)), isNew: true);
        flow.Answered(TimeSpan.FromMilliseconds(40));
        return flow;
    }

    private void Tell(Flow flow, EgressVerdict? verdict = null)
    {
        if (verdict is { } decided)
            flow.Decide(decided);
        flow.End();
        _proxy.Services.GetRequiredService<RecentFlows>().Ended(flow);
    }

    private void AskAboutEverything() => Assert.True(_proxy.Services.GetRequiredService<LiveConfiguration>().Apply("""{"allowlist": {"domains": []}}"""u8, merge: true).IsValid);

    // Whose a connection is can be found only while it is there: none is closed before the test's end.
    private async Task AskAsync(params string[] addresses)
    {
        var client = _proxy.Client();
        _clients.Add(client);
        foreach (var address in addresses)
            using (await client.GetAsync(address))
            {
            }
    }

    private async Task<IPage> OpenAsync(string tab = "traffic")
    {
        var page = await chromium.OpenAsync();
        page.Request += (_, request) => _asked.Enqueue(request.Url);
        page.Console += (_, message) =>
        {
            if (message.Type is "error" or "warning")
                _complaints.Enqueue(message.Text);
        };
        page.PageError += (_, error) => _complaints.Enqueue(error);
        page.Dialog += (_, dialog) => _complaints.Enqueue(dialog.Message);
        await Chromium.VisitAsync(page, $"{Address}#{tab}");
        await Expect(page.Locator("#connection")).ToHaveTextAsync(KnownPattern());
        return page;
    }

    private async Task LogInAsync(IPage page)
    {
        await page.Locator("#token").FillAsync(_proxy.Token);
        await page.GetByRole(AriaRole.Button, new() { Name = "Log in" }).ClickAsync();
        await Expect(page.Locator("#logged-in")).ToBeVisibleAsync();
    }

    // That an answer is a refusal, or did not come as the machine's network changed, the browser tells, too.
    private void AssertKeptToItself()
    {
        Assert.NotEmpty(_asked);
        Assert.All(_asked, address => Assert.StartsWith(Address, address, StringComparison.Ordinal));
        Assert.Equal([], _complaints.Where(complaint => !complaint.StartsWith("Failed to load resource", StringComparison.Ordinal)));
    }

    // WCAG 2.2, 1.4.3: 4.5 to 1, of all text in sight that is not dimmed as a whole.
    private const string Unreadable = """
        () => {
          const rgba = text => { const n = text.match(/[\d.]+/g).map(Number); return [n[0], n[1], n[2], n[3] ?? 1]; };
          const light = c => { const [r, g, b] = c.map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
          const ground = e => { for (; e; e = e.parentElement) { const c = rgba(getComputedStyle(e).backgroundColor); if (c[3] > 0) return c; } return [255, 255, 255, 1]; };
          const faults = new Set();
          for (const e of document.querySelectorAll('body *')) {
            if (!e.checkVisibility({ visibilityProperty: true }) || ![...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim())) continue;
            const [a, b] = [light(rgba(getComputedStyle(e).color)), light(ground(e))];
            const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
            if (ratio < 4.5) faults.add(`${e.tagName}.${e.className} ${ratio.toFixed(2)}: ${e.textContent.slice(0, 40)}`);
          }
          return [...faults].join(' | ');
        }
        """;

    [GeneratedRegex("TLS .* ms, first byte")]
    private static partial Regex TimesPattern();

    [GeneratedRegex("^M")]
    private static partial Regex PlotPattern();

    [GeneratedRegex("^[0-9,]+ newer$")]
    private static partial Regex NewerPattern();

    [GeneratedRegex("^(live|needs the token)$")]
    private static partial Regex KnownPattern();

    [GeneratedRegex("<style|style=|<script(?! type=\"module\" src=\"/)|\\son[a-z]+=")]
    private static partial Regex InlinePattern();
}
