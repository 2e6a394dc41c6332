using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using Discobot.Features.Configuration;
using Discobot.Infrastructure.Config;
using Discobot.Infrastructure.Wire;
using Discobot.Tests.Fixtures;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;

namespace Discobot.Features.Clients;

/// <summary><c>clients</c>: several share a proxy, and each has its name in rules, limits, credentials, the audit and metrics.</summary>
public sealed class ClientsTests : IAsyncLifetime
{
    // Of "one", "two" and "three".
    private const string Clients = """
        clients:
          ann: "$6$aa$8Kc1NjusxbbOQT9R5LTixPRHJrFKXgTPCieLLPZUiIaxkIQxJzGCSPop.qRrqnsCDKcRzqZAb03ClyS25nhJm/"
          ben: "env:DISCOBOT_TEST_BEN"
        socks: {inspect: true, users: {eve: three}}
        secrets: {own: {value: "env:DISCOBOT_TEST_CLIENTS", hosts: [localhost], allow_plaintext: true, clients: [ann]}}
        allowlist:
          enabled: true
          allow_private: true
          domains:
          - {host: localhost, paths: ["/all"]}
          - {host: localhost, paths: ["/ann"], clients: [ann]}
          - {host: localhost, paths: ["/two"], clients: [ann, ben]}
        """;

    private const string Secret = "the-operators-own-token";

    private volatile string _kept = "";
    private RunningProxy _proxy = null!;
    private TestOrigin _origin = null!;

    public async Task InitializeAsync()
    {
        Environment.SetEnvironmentVariable("DISCOBOT_TEST_BEN", "$2b$04$abcdefghijklmnopqrstuuIHDRnKw4Zdb/3/EAZQMg/2vwJPJBL7u");
        Environment.SetEnvironmentVariable("DISCOBOT_TEST_CLIENTS", Secret);
        _proxy = await RunningProxy.StartAsync(Clients);
        _origin = await TestOrigin.StartAsync(_proxy.Upstreams.Issue(["localhost"]), context =>
        {
            if (context.Request.Headers["X-Token"].ToString() is { Length: > 0 } sent)
                _kept = sent;
            return context.Response.WriteAsync($"{_kept} {context.Request.Headers.ProxyAuthorization}");
        });
    }

    public async Task DisposeAsync()
    {
        await _origin.DisposeAsync();
        await _proxy.DisposeAsync();
    }

    [Theory]
    [InlineData("http")]
    [InlineData("connect")]
    [InlineData("socks5")]
    public async Task Each_reaches_what_is_for_it_and_is_named_in_the_audit_and_the_metrics(string entry)
    {
        foreach (var (name, password, allowed) in new[] { ("ann", "one", "/all /ann /two"), ("ben", "two", "/all /two"), ("eve", "three", "/all") })
        {
            using var client = Client(entry, name, password);
            foreach (var path in (string[])["/all", "/ann", "/two"])
            {
                using var answer = await client.GetAsync(new Uri($"{(entry == "http" ? _origin.Http : _origin.Https)}{path}"));
                Assert.Equal(allowed.Contains(path, StringComparison.Ordinal) ? HttpStatusCode.OK : HttpStatusCode.Forbidden, answer.StatusCode);
                Assert.DoesNotContain("Basic", await answer.Content.ReadAsStringAsync(), StringComparison.Ordinal);
            }
        }

        using var api = _proxy.Api();
        await Eventually.TrueAsync(async () =>
        {
            var flows = Flows(await api.GetStringAsync("/api/flows")).Where(flow => flow.TryGetProperty("path", out _)).ToList();
            return flows.Count(flow => NameOf(flow) == "ann" && flow.GetProperty("verdict").GetString() == "allowed") == 3
                && flows.Count(flow => NameOf(flow) == "ben" && flow.GetProperty("verdict").GetString() == "blocked") == 1
                && flows.Count(flow => NameOf(flow) == "eve") == 3 && flows.TrueForAll(flow => NameOf(flow) is not null && flow.GetProperty("entry").GetString() == entry);
        });
        var metrics = await api.GetStringAsync("/metrics");
        Assert.Contains("discobot_client_flows_total{client=\"ann\",verdict=\"allowed\"} 3", metrics, StringComparison.Ordinal);
        Assert.Contains("discobot_client_flows_total{client=\"ben\",verdict=\"blocked\"} 1", metrics, StringComparison.Ordinal);
        Assert.Contains("discobot_client_bytes_total{client=\"eve\",direction=\"down\"}", metrics, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_secret_is_for_the_clients_that_it_names()
    {
        var placeholder = (await File.ReadAllTextAsync(Path.Combine(Path.GetDirectoryName(_proxy.LogFile)!, "placeholders.env"))).Split('=')[1].Trim();
        foreach (var (name, password, status) in new[] { ("ann", "one", HttpStatusCode.OK), ("ben", "two", HttpStatusCode.Forbidden) })
        {
            using var client = Client("connect", name, password);
            using var request = new HttpRequestMessage(HttpMethod.Get, new Uri($"{_origin.Https}/all")) { Headers = { { "X-Token", placeholder } } };
            using var answer = await client.SendAsync(request);
            Assert.Equal(status, answer.StatusCode);
        }
    }

    /// <summary>A server keeps what somebody sent it who may, and shows it to somebody who may not.</summary>
    [Fact]
    public async Task Those_who_may_not_have_a_secret_do_not_see_it_either()
    {
        var placeholder = (await File.ReadAllTextAsync(Path.Combine(Path.GetDirectoryName(_proxy.LogFile)!, "placeholders.env"))).Split('=')[1].Trim();
        using var ann = Client("connect", "ann", "one");
        ann.DefaultRequestHeaders.Add("X-Token", placeholder);
        await ann.GetStringAsync(new Uri($"{_origin.Https}/all"));
        Assert.Equal(Secret, _kept);
        foreach (var (name, password) in new[] { ("ann", "one"), ("ben", "two"), ("eve", "three") })
        {
            using var client = Client("connect", name, password);
            Assert.Equal($"{placeholder} ", await client.GetStringAsync(new Uri($"{_origin.Https}/all")));
        }
    }

    [Theory]
    [InlineData("ann", "two")]
    [InlineData("Ann", "one")]
    [InlineData("unnamed", "one")]
    [InlineData("*", "one")]
    [InlineData("ann", "$6$aa$8Kc1NjusxbbOQT9R5LTixPRHJrFKXgTPCieLLPZUiIaxkIQxJzGCSPop.qRrqnsCDKcRzqZAb03ClyS25nhJm/")]
    public async Task Whoever_cannot_prove_to_be_one_of_them_is_asked_and_goes_nowhere(string name, string password)
    {
        using var client = Client("http", name, password);
        using var answer = await client.GetAsync(new Uri($"{_origin.Http}/all"));
        Assert.Equal(HttpStatusCode.ProxyAuthenticationRequired, answer.StatusCode);
        using var nobody = _proxy.Client();
        using var unasked = await nobody.GetAsync(new Uri($"{_origin.Http}/all"));
        Assert.Equal(HttpStatusCode.ProxyAuthenticationRequired, unasked.StatusCode);
    }

    [Fact]
    public async Task Requests_of_several_clients_by_one_connection_are_each_its_own()
    {
        using var tcp = new TcpClient("127.0.0.1", _proxy.Port);
        using var reader = new StreamReader(tcp.GetStream(), Encoding.Latin1);
        foreach (var (login, status) in new[] { ("ann:one", "200"), ("ben:two", "403"), ("ann:one", "200") })
        {
            await tcp.GetStream().WriteAsync(Encoding.Latin1.GetBytes(
                $"HEAD {_origin.Http}/ann HTTP/1.1\r\nHost: localhost\r\nProxy-Authorization: Basic {Convert.ToBase64String(Encoding.UTF8.GetBytes(login))}\r\n\r\n"));
            Assert.Contains(status, await reader.ReadLineAsync(), StringComparison.Ordinal);
            while (await reader.ReadLineAsync() is { Length: > 0 })
            {
            }
        }

        using var api = _proxy.Api();
        await Eventually.TrueAsync(async () => string.Join(' ', Flows(await api.GetStringAsync("/api/flows")).Select(NameOf).Order()) == "ann ann ben");
    }

    [Theory]
    [InlineData("clients: {ann: password}", "c.yaml:1:16: clients.ann: must be the hash of a password")]
    [InlineData("clients: {ann: }", "clients.ann: must be the hash of a password")]
    [InlineData("clients: {unnamed: \"env:X\"}", "is what those are called who have no name")]
    [InlineData("clients: {\"a:b\": \"env:X\"}", "a client's name has at most 64 letters")]
    [InlineData("clients: {ann: \"env:X\"}\nsocks: {users: {ann: x}}", "c.yaml:2:22: socks.users.ann: is one of clients as well")]
    [InlineData("clients: {ann: \"env:X\"}\nallowlist: {domains: [{host: a.example, clients: [anne]}]}", "allowlist.domains[0].clients[0]: neither clients nor socks.users has the name \"anne\"; did you mean \"ann\"?")]
    [InlineData("clients: {ann: \"env:X\"}\nsecrets: {s: {value: \"env:X\", hosts: [a.example], clients: [bob]}}", "secrets.s.clients[0]: neither clients nor socks.users has the name")]
    [InlineData("clients: {ann: \"env:X\"}\nallowlist: {deny: [{host: a.example, clients: [ann]}]}", "allowlist.deny[0].clients: what is denied is denied to every client")]
    [InlineData("allowlist: {domains: [{host: a.example, clients: []}]}", "must not be empty; leave it out to allow all clients")]
    public void Mistakes_are_told_with_their_place_and_without_what_may_be_a_password(string text, string error)
    {
        var told = SettingsSources.Of(null, new Dictionary<string, string>()).Load(ConfigDocument.Parse(text, "c.yaml")).ErrorText();
        Assert.Contains(error, told, StringComparison.Ordinal);
        Assert.DoesNotContain("\"password\"", told, StringComparison.Ordinal);
    }

    [Fact]
    public void What_is_kept_elsewhere_and_is_no_hash_is_told_by_the_check()
    {
        Environment.SetEnvironmentVariable("DISCOBOT_TEST_NO_HASH", "pa55word");
        var told = SettingsSources.Of(null, new Dictionary<string, string>()).Load(ConfigDocument.Parse("clients: {ann: \"env:DISCOBOT_TEST_NO_HASH\"}", "c.yaml"), FileChecks.All).ErrorText();
        Assert.Contains("c.yaml:1:16: clients.ann: env:DISCOBOT_TEST_NO_HASH does not hold the hash of a password", told, StringComparison.Ordinal);
        Assert.DoesNotContain("pa55word", told, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_proxy_lets_in_itself_by_a_password_of_each_start()
    {
        var users = _proxy.Services.GetRequiredService<ProxyUsers>();
        using var handler = new SocketsHttpHandler { Proxy = new WebProxy($"http://127.0.0.1:{_proxy.Port}") { Credentials = users.Own } };
        using var client = new HttpClient(handler);
        using var all = await client.GetAsync(new Uri($"{_origin.Http}/all"));
        using var one = await client.GetAsync(new Uri($"{_origin.Http}/ann"));
        Assert.Equal((HttpStatusCode.OK, HttpStatusCode.Forbidden), (all.StatusCode, one.StatusCode));
        Assert.NotEqual(users.Own!.Password, new ProxyUsers([new("a", new SecretText(SecretSource.Literal, "b"))], new SecretFiles()).Own!.Password);
    }

    private static string? NameOf(JsonElement flow) =>
        flow.TryGetProperty("client", out var client) && client.TryGetProperty("name", out var name) ? name.GetString() : null;

    private static JsonElement.ArrayEnumerator Flows(string json)
    {
        var root = JsonDocument.Parse(json).RootElement;
        return root.ValueKind == JsonValueKind.Array ? root.EnumerateArray() : root.EnumerateObject().First(property => property.Value.ValueKind == JsonValueKind.Array).Value.EnumerateArray();
    }

    private HttpClient Client(string entry, string name, string password) => new(new SocketsHttpHandler
    {
        Proxy = new WebProxy($"{(entry == "socks5" ? "socks5" : "http")}://127.0.0.1:{_proxy.Port}") { Credentials = new NetworkCredential(name, password) },
        SslOptions = { CertificateChainPolicy = _proxy.TrustOnlyOurCa() },
    });
}
