using Microsoft.Playwright;

namespace Discobot.Tests.Fixtures;

/// <summary>One headless Chromium, the distribution's, for the tests of a class. It asks nobody but the pages it is sent to.</summary>
public sealed class Chromium : IAsyncLifetime
{
    private const float Patience = 60_000;

    private IPlaywright _driver = null!;
    private IBrowser _browser = null!;

    public async Task InitializeAsync()
    {
        Assertions.SetDefaultExpectTimeout(Patience);
        _driver = await Playwright.CreateAsync();
        _browser = await _driver.Chromium.LaunchAsync(new()
        {
            ExecutablePath = "/usr/bin/chromium",
            Args = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-proxy-server"],
            Timeout = Patience,
        });
    }

    public async Task DisposeAsync()
    {
        await _browser.DisposeAsync();
        _driver.Dispose();
    }

    /// <summary>An empty page, with nothing of any other.</summary>
    public async Task<IPage> OpenAsync()
    {
        var context = await _browser.NewContextAsync(new() { ViewportSize = new() { Width = 1600, Height = 850 } });
        context.SetDefaultTimeout(Patience);
        return await context.NewPageAsync();
    }

    /// <summary>Loads an address with all that belongs to it. Where other tests make and remove networks meanwhile, the browser gives up what it loads just then.</summary>
    public static async Task VisitAsync(IPage page, string address)
    {
        for (var tries = 20; ; tries--)
        {
            var isWhole = true;
            void Note(object? sender, IRequest request) => isWhole &= request.ResourceType is "fetch" or "xhr";
            page.RequestFailed += Note;
            try
            {
                await page.GotoAsync("about:blank");
                await page.GotoAsync(address);
            }
            catch (PlaywrightException e) when (tries > 0 && e.Message.Contains("ERR_NETWORK_CHANGED", StringComparison.Ordinal))
            {
                isWhole = false;
            }

            page.RequestFailed -= Note;
            if (isWhole || tries == 0)
                return;
        }
    }
}
