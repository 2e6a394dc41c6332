using System.CommandLine;
using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using Discobot.Features.CommandLine.Commands;
using Discobot.Tests.Fixtures;
using Microsoft.Extensions.Time.Testing;
using Microsoft.Playwright;
using static Microsoft.Playwright.Assertions;

namespace Discobot.Features.Api.Page;

/// <summary>From <c>discobot ui</c> to a page that is logged in. Alone, as <see cref="LivePageTests"/> are.</summary>
[Collection(nameof(Alone))]
public sealed class LoginCodesTests(Chromium chromium) : IClassFixture<Chromium>, IAsyncLifetime
{
    private readonly string _directory = Directory.CreateTempSubdirectory("discobot-test-").FullName;
    private RunningProxy _proxy = null!;

    public async Task InitializeAsync() => _proxy = await RunningProxy.StartAsync("audit: {enabled: false}");

    public async Task DisposeAsync()
    {
        await _proxy.DisposeAsync();
        Directory.Delete(_directory, recursive: true);
    }

    [Theory]
    [InlineData("config")]
    [InlineData("all")]
    public async Task The_address_that_is_printed_logs_the_page_in_and_no_other(string protect)
    {
        await _proxy.DisposeAsync();
        _proxy = await RunningProxy.StartAsync($$"""
            audit: {enabled: false}
            api: {protect: {{protect}}, token_file: "{DIR}/api.token"}
            """);
        var (code, address, _) = await RunAsync(_proxy.Token);
        Assert.Equal(0, code);
        Assert.Matches($"^http://127\\.0\\.0\\.1:{_proxy.ApiPort}/#login=[0-9a-f]{{32}}\n$", address);

        var page = await chromium.OpenAsync();
        await Chromium.VisitAsync(page, address.Trim());
        await Expect(page.Locator("#logged-in")).ToBeVisibleAsync();
        await Expect(page.Locator("#connection")).ToHaveTextAsync("live");
        Assert.EndsWith("/#traffic", page.Url, StringComparison.Ordinal);

        // Whoever finds the address afterwards finds nothing.
        var other = await chromium.OpenAsync();
        await Chromium.VisitAsync(other, address.Trim());
        await Expect(other.Locator("#notice")).ToContainTextAsync("`discobot ui` prints another");
        await Expect(other.Locator("#log-in")).ToBeVisibleAsync();
    }

    [Fact]
    public async Task A_code_is_made_for_the_token_alone_and_good_once()
    {
        using var api = _proxy.Api();
        using var unasked = await api.PostAsync("/api/login/codes", null);
        Assert.Equal(HttpStatusCode.Unauthorized, unasked.StatusCode);
        var (code, output, error) = await RunAsync("not-the-token-of-this-proxy");
        Assert.Equal((1, ""), (code, output));
        Assert.Contains("the token that was sent is another proxy's", error, StringComparison.Ordinal);

        var (_, address, _) = await RunAsync(_proxy.Token);
        var made = address.Trim().Split("#login=")[1];
        Assert.Equal(HttpStatusCode.UnsupportedMediaType, (await LogInAsync(api, made, "text/plain")).Status);
        Assert.Equal(HttpStatusCode.Forbidden, (await LogInAsync(api, new string('0', 32))).Status);
        Assert.Equal((HttpStatusCode.OK, _proxy.Token), await LogInAsync(api, made));
        Assert.Equal(HttpStatusCode.Forbidden, (await LogInAsync(api, made)).Status);
        Assert.Matches("^\\{\"url\":\"http://127\\.0\\.0\\.1:[0-9]+/#login=[0-9a-f]{32}\"\\}$", string.Concat((await RunAsync(_proxy.Token, null, "--json")).Output.Where(c => !char.IsWhiteSpace(c))));
    }

    [Fact]
    public async Task Where_nothing_needs_the_token_the_address_is_without_a_code_and_where_there_is_no_page_there_is_no_address()
    {
        await using var open = await RunningProxy.StartAsync("api: {protect: none, token_file: \"{DIR}/api.token\"}");
        Assert.Equal((0, $"http://127.0.0.1:{open.ApiPort}/\n", ""), await RunAsync("any-token-of-whatever-proxy", open.ApiPort));
        await using var without = await RunningProxy.StartAsync("api: {ui: false, token_file: \"{DIR}/api.token\"}");
        Assert.Equal((1, ""), await RunAsync(without.Token, without.ApiPort) is var (code, output, _) ? (code, output) : default);
    }

    [Fact]
    public void A_code_that_nobody_uses_is_good_for_a_minute_and_only_so_many_are_open()
    {
        var time = new FakeTimeProvider();
        var codes = new LoginCodes(time);
        var (first, second) = (codes.Make(), codes.Make());
        time.Advance(LoginCodes.Lifetime - TimeSpan.FromSeconds(1));
        Assert.True(codes.Take(first));
        time.Advance(TimeSpan.FromSeconds(1));
        Assert.False(codes.Take(second));

        var many = Enumerable.Range(0, 17).Select(_ => codes.Make()).ToList();
        Assert.Equal([false, .. Enumerable.Repeat(true, 16)], many.Select(codes.Take));
    }

    private static async Task<(HttpStatusCode Status, string? Token)> LogInAsync(HttpClient api, string code, string type = "application/json")
    {
        using var body = new StringContent($$"""{"code": "{{code}}"}""", Encoding.UTF8, new MediaTypeHeaderValue(type));
        using var answer = await api.PostAsync("/api/login", body);
        return (answer.StatusCode, answer.IsSuccessStatusCode ? JsonElement.Parse(await answer.Content.ReadAsStringAsync()).GetProperty("token").GetString() : null);
    }

    private async Task<(int Code, string Output, string Error)> RunAsync(string token, int? port = null, params string[] options)
    {
        var file = Path.Combine(_directory, "token");
        await File.WriteAllTextAsync(file, token);
        var (output, error) = (new StringWriter(), new StringWriter());
        var code = await RootCommands.Create().Parse(["ui", "--api", $"127.0.0.1:{port ?? _proxy.ApiPort}", "--token-file", file, .. options]).InvokeAsync(new InvocationConfiguration { Output = output, Error = error });
        return (code, output.ToString(), error.ToString());
    }
}
