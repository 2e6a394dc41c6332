using System.Net;
using System.Net.Http.Headers;
using System.Text;
using Discobot.Features.Configuration;
using Discobot.Infrastructure;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.Extensions.DependencyInjection;

namespace Discobot.Features.Api;

public sealed class ConfigEndpointsTests : IAsyncLifetime, IDisposable
{
    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("api");
    private readonly HttpClient _client = new();
    private WebApplication? _app;
    private Uri _baseAddress = null!;

    private string TokenFile => Path.Combine(_directory.FullName, "deep", "api.token");

    public Task InitializeAsync() => StartAsync(ApiProtection.Config);

    public async Task DisposeAsync()
    {
        await _app!.DisposeAsync();
        _directory.Delete(recursive: true);
    }

    public void Dispose() => _client.Dispose();

    private async Task StartAsync(ApiProtection protect)
    {
        if (_app is not null)
            await _app.DisposeAsync();
        var none = new Dictionary<string, string>();
        var sources = new SettingsSources(null, none, none, _directory.FullName);
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.Services.AddRoutingCore()
            .AddConfiguration(sources, sources.Load().Value!)
            .AddApi(new ApiOptions { TokenFile = TokenFile, Protect = protect })
            .AddLogging();
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel => kestrel.ListenForApi([new IPEndPoint(IPAddress.Loopback, 0)]));
        _app = builder.Build();
        _app.UseApi(endpoints => endpoints.MapConfiguration());
        await _app.StartAsync();
        _baseAddress = new Uri(_app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Single());
    }

    private async Task<(HttpStatusCode Status, string Body)> SendAsync(
        string method, string? body = null, string? token = null, string type = "application/json")
    {
        using var request = new HttpRequestMessage(new HttpMethod(method), new Uri(_baseAddress, "/api/config"));
        if (body is not null)
            request.Content = new StringContent(body, Encoding.UTF8, type);
        if (token is not null)
            request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", token);
        using var response = await _client.SendAsync(request);
        return (response.StatusCode, await response.Content.ReadAsStringAsync());
    }

    private string Token() => File.ReadAllText(TokenFile).Trim();

    [Fact]
    public async Task The_configuration_is_shown_and_changed_with_the_token()
    {
        const string change = """{"headers": {"a.com": {"set": {"Authorization": "s3cret"}}}, "allowlist": {"enabled": true}}""";
        var (status, body) = await SendAsync("POST", change, Token());
        Assert.Equal(HttpStatusCode.OK, status);
        Assert.DoesNotContain("s3cret", body, StringComparison.Ordinal);
        Assert.True(_app!.Services.GetRequiredService<Live<ProxySettings>>().Value.Allowlist.Enabled);
        Assert.Equal((HttpStatusCode.OK, body), await SendAsync("GET"));
        Assert.Equal(HttpStatusCode.OK, (await SendAsync("PATCH", """{"headers": {"a.com": null}}""", Token())).Status);
        Assert.Empty(_app.Services.GetRequiredService<Live<ProxySettings>>().Value.Headers.Rules);
    }

    [Theory]
    [InlineData(null)]
    [InlineData("")]
    [InlineData("0000000000000000000000000000000000000000000000000000000000000000")]
    public async Task Without_the_token_nothing_is_changed(string? token)
    {
        var before = _app!.Services.GetRequiredService<Live<ProxySettings>>().Value;
        foreach (var method in (string[])["POST", "PATCH", "PUT"])
            Assert.Equal(HttpStatusCode.Unauthorized, (await SendAsync(method, "{}", token)).Status);
        Assert.Same(before, _app.Services.GetRequiredService<Live<ProxySettings>>().Value);
    }

    [Fact]
    public async Task A_bad_change_is_refused_with_every_mistake()
    {
        var (status, body) = await SendAsync("PATCH", """{"allowlist": {"enabled": 1, "mode": 2}}""", Token());
        Assert.Equal(HttpStatusCode.BadRequest, status);
        Assert.StartsWith("""{"error":"nothing was changed","errors":["request body:1:27: allowlist.enabled: must be""", body, StringComparison.Ordinal);
        Assert.Contains("request body:1:38: allowlist.mode", body, StringComparison.Ordinal);
        Assert.Equal(
            (HttpStatusCode.UnsupportedMediaType, """{"error":"the body must be application/json"}""" + "\n"),
            await SendAsync("POST", "{}", Token(), "text/plain"));
        Assert.Equal(
            (HttpStatusCode.RequestEntityTooLarge, """{"error":"the body is larger than 1 MiB"}""" + "\n"),
            await SendAsync("POST", new string(' ', 1 << 20) + "{}", Token()));
        Assert.Equal(
            (HttpStatusCode.MethodNotAllowed, """{"error":"DELETE is not allowed here; allowed: GET, HEAD, PATCH, POST"}""" + "\n"),
            await SendAsync("DELETE", null, Token()));
    }

    [Fact]
    public async Task The_token_is_made_once_for_its_owner_alone()
    {
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(TokenFile));
        var token = Token();
        await StartAsync(ApiProtection.All);
        Assert.Equal(token, Token());
        Assert.Equal(HttpStatusCode.Unauthorized, (await SendAsync("GET")).Status);
        Assert.Equal(HttpStatusCode.OK, (await SendAsync("GET", null, token)).Status);
    }
}
