using System.Collections.Concurrent;
using System.Net;
using System.Net.Http.Headers;
using System.Net.WebSockets;
using System.Text;
using System.Text.Json;
using Discobot.Infrastructure.Http1;
using Discobot.Infrastructure.Wire;
using Discobot.Tests.Fixtures;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;

namespace Discobot.Features.Credentials;

/// <summary>Placeholders on their way to the host that may have the secret, and every way on which they, or it, might come to another.</summary>
public sealed class CredentialsTests : IAsyncLifetime
{
    private const string Secret = "gh/s3cret+of=the~operator";
    private const string Section = """
        secrets:
          github: {value: "file:{DIR}/token", hosts: [localhost], in: [header, basic, query], env: GITHUB_TOKEN}
          narrow: {value: "env:DISCOBOT_TEST_NARROW", hosts: [localhost], in: [basic]}
          absent: {value: "file:{DIR}/absent", hosts: [localhost]}
        """;

    private readonly ConcurrentQueue<(string Address, string Fields)> _seen = new();
    private readonly TaskCompletionSource _goOn = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private RunningProxy _proxy = null!;
    private TestOrigin _origin = null!;

    private string Directory => Path.GetDirectoryName(_proxy.LogFile)!;

    private string Own => $"https://localhost:{_origin.HttpsPort}";

    private string Other => $"https://127.0.0.1:{_origin.HttpsPort}";

    public async Task InitializeAsync()
    {
        Environment.SetEnvironmentVariable("DISCOBOT_TEST_NARROW", "narrow-s3cret");
        await StartAsync(Section);
    }

    public async Task DisposeAsync()
    {
        await _origin.DisposeAsync();
        await _proxy.DisposeAsync();
    }

    [Theory]
    [InlineData("1.1")]
    [InlineData("2.0")]
    public async Task The_named_host_gets_the_secret_wherever_the_placeholder_may_stand(string version)
    {
        using var client = _proxy.Client(Version.Parse(version));
        using var request = new HttpRequestMessage(HttpMethod.Get, $"{Own}/x%2Fy?a=1&token={Placeholder("GITHUB_TOKEN")}&b=%20") { Version = Version.Parse(version) };
        request.Headers.TryAddWithoutValidation("Authorization", $"Bearer {Placeholder("GITHUB_TOKEN")}");
        request.Headers.TryAddWithoutValidation("X-Mixed-Case", $"a={Placeholder("GITHUB_TOKEN")}; b");
        using var answer = await client.SendAsync(request);
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        var (address, fields) = Assert.Single(_seen);
        Assert.Equal($"/x%2Fy?a=1&token={Uri.EscapeDataString(Secret)}&b=%20", address);
        Assert.Contains($"\nAuthorization: Bearer {Secret}\n", fields, StringComparison.OrdinalIgnoreCase);
        Assert.Contains($"\nX-Mixed-Case: a={Secret}; b\n", fields, StringComparison.OrdinalIgnoreCase);
    }

    [Theory]
    [InlineData("x-access-token:{0}", "x-access-token:{1}")]
    [InlineData("{0}:x-oauth-basic", "{1}:x-oauth-basic")]
    public async Task In_basic_it_is_the_user_or_the_password(string sent, string received)
    {
        using var answer = await AskAsync(Own, request => request.Headers.Authorization = new("Basic", Base64(string.Format(null, sent, Placeholder("GITHUB_TOKEN")))));
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        Assert.Contains($"\nAuthorization: Basic {Base64(string.Format(null, received, Placeholder("GITHUB_TOKEN"), Secret))}\n", Assert.Single(_seen).Fields, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("Authorization")]
    [InlineData("X-Authorization")]
    public async Task Basic_without_padding_is_replaced_in_whatever_field_it_stands(string field)
    {
        using var answer = await AskAsync(Own, request => request.Headers.TryAddWithoutValidation(field, $"Basic {Base64($"xx:{Placeholder("GITHUB_TOKEN")}").TrimEnd('=')}"));
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        Assert.Contains($"\n{field}: Basic {Base64($"xx:{Secret}")}\n", Assert.Single(_seen).Fields, StringComparison.Ordinal);
    }

    [Fact]
    public async Task All_else_of_the_head_arrives_byte_for_byte()
    {
        const string Rest = "X-b: 1\nx-A: two,  three\nX-B: 2\n";
        await using var origin = RawOrigin.Start(_proxy.Upstreams.Issue(["localhost"]));
        await using var tunnel = await RawTunnel.ConnectAsync(_proxy, "localhost", origin.Port, System.Net.Security.SslApplicationProtocol.Http11);
        Assert.Equal(200, await tunnel.AskAsync($"GET /p HTTP/1.1\nHost: localhost:{origin.Port}\n{Rest}AUTHORIZATION: token {Placeholder("GITHUB_TOKEN")}\nX-Last: é"));
        var head = Assert.Single(origin.Heads).Replace("\r\n", "\n", StringComparison.Ordinal);
        Assert.StartsWith($"GET /p HTTP/1.1\nHost: localhost:{origin.Port}\n{Rest}AUTHORIZATION: token {Secret}\nX-Last:", head, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("Authorization", "Bearer {0}")]
    [InlineData("Authorization", "Bearer {1}")]
    [InlineData("Authorization", "Basic {2}")]
    [InlineData("Authorization", "Basic {3}")]
    [InlineData("Authorization", "Basic {6}")]
    [InlineData("Authorization", "basic \t {7}")]
    [InlineData("Authorization", "Basic {8}")]
    [InlineData("X-Authorization", "Basic {2}")]
    [InlineData("X-Forwarded-Authorization", "Basic {3}")]
    [InlineData("{0}", "1")]
    [InlineData("{9}", "1")]
    [InlineData("method", "{0}")]
    [InlineData("Cookie", "a=b; t={4}")]
    [InlineData("Referer", "https://elsewhere.example/?t={0}")]
    [InlineData("?", "t={0}")]
    [InlineData("?", "t={4}")]
    [InlineData("?", "{4}=1")]
    [InlineData("?", "t=%64bot-{5}")]
    [InlineData("/", "{0}")]
    [InlineData("/", "{4}")]
    public async Task Another_host_gets_neither_placeholder_nor_secret(string where, string what)
    {
        var placeholder = Placeholder("GITHUB_TOKEN");
        what = string.Format(null, what, placeholder, Secret, Base64($"u:{placeholder}"), Base64($"u:{Secret}"), Uri.EscapeDataString(Secret), placeholder[5..],
            Base64($"xx:{placeholder}").TrimEnd('='), Base64($"u\u00ff\u00fe:{Secret}").Replace('+', '-').Replace('/', '_').TrimEnd('='), "Og==" + Base64(Secret), placeholder.ToUpperInvariant());
        where = string.Format(null, where, placeholder, null, null, null, null, null, null, null, null, placeholder.ToUpperInvariant());
        using var answer = await AskAsync(where is "?" or "/" ? $"{Other}/{(where == "?" ? "a?" : "")}{what}" : Other, request =>
        {
            if (where is "method")
                request.Method = new HttpMethod(what);
            else if (where is not ("?" or "/"))
                request.Headers.TryAddWithoutValidation(where, what);
        });
        Assert.Equal(HttpStatusCode.Forbidden, answer.StatusCode);
        Assert.Equal("credential_refused", Assert.Single(answer.Headers.GetValues("X-Discobot-Error")));
        using var told = JsonDocument.Parse(await answer.Content.ReadAsStringAsync());
        Assert.Equal("secrets.github", told.RootElement.GetProperty("rule").GetString());
        Assert.Contains("github", told.RootElement.GetProperty("reason").GetString(), StringComparison.Ordinal);
        Assert.Empty(_seen);
        await AssertShownNowhereAsync("\"rule\":\"secrets.github\"");
    }

    [Fact]
    public async Task A_registrys_client_reads_it_in_its_own_form()
    {
        using var answer = await AskAsync($"{Other}/v2/", Bearer);
        using var told = JsonDocument.Parse(await answer.Content.ReadAsStringAsync());
        Assert.Equal("DENIED", told.RootElement.GetProperty("errors")[0].GetProperty("code").GetString());
    }

    [Theory]
    [InlineData("header")]
    [InlineData("query")]
    public async Task Where_in_does_not_name_the_place_it_is_refused(string place)
    {
        var placeholder = Placeholder("# narrow");
        using var answer = await AskAsync(place == "query" ? $"{Own}/?t={placeholder}" : Own, request =>
        {
            if (place == "header")
                request.Headers.Authorization = new("Bearer", placeholder);
        });
        Assert.Equal(HttpStatusCode.Forbidden, answer.StatusCode);
        Assert.Contains($"secrets.narrow.in does not allow it ({place})", await answer.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        Assert.Empty(_seen);
    }

    [Fact]
    public async Task A_secret_in_the_path_is_refused_also_on_the_way_to_its_host()
    {
        using var answer = await AskAsync($"{Own}/bot{Placeholder("GITHUB_TOKEN")}/getMe", _ => { });
        Assert.Equal(HttpStatusCode.Forbidden, answer.StatusCode);
    }

    [Fact]
    public async Task Plain_http_is_refused_unless_it_is_allowed()
    {
        using (var answer = await AskAsync(_origin.Http, Bearer))
            Assert.Equal(HttpStatusCode.Forbidden, answer.StatusCode);
        Assert.Empty(_seen);
        await RestartAsync(Section.Replace("env: GITHUB_TOKEN", "env: GITHUB_TOKEN, allow_plaintext: true", StringComparison.Ordinal));
        using (var answer = await AskAsync(_origin.Http, Bearer))
            Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        Assert.Contains(Secret, Assert.Single(_seen).Fields, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_upstream_whose_certificate_nobody_checks_gets_nothing()
    {
        await RestartAsync(Section, ", insecure_hosts: [localhost]");
        using var answer = await AskAsync(Own, Bearer);
        Assert.Equal(HttpStatusCode.Forbidden, answer.StatusCode);
        Assert.Empty(_seen);
    }

    [Fact]
    public async Task The_agents_own_copy_goes_to_the_named_host_and_none_is_kept_of_its_address()
    {
        using var answer = await AskAsync($"{Own}/cached?t={Uri.EscapeDataString(Secret)}", request => request.Headers.Authorization = new("Bearer", Secret));
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        await AssertShownNowhereAsync("\"path\":\"/cached\"");
    }

    [Fact]
    public async Task Without_a_value_the_request_is_answered_with_the_secrets_name()
    {
        using var answer = await AskAsync(Own, request => request.Headers.Authorization = new("Bearer", Placeholder("# absent")));
        Assert.Equal(HttpStatusCode.ServiceUnavailable, answer.StatusCode);
        Assert.Contains("The secret absent has no value", await answer.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        Assert.Empty(_seen);
    }

    [Fact]
    public async Task A_file_that_changes_is_read_again()
    {
        await File.WriteAllTextAsync(Path.Combine(Directory, "token"), "rotated-s3cret\n");
        await Eventually.TrueAsync(async () =>
        {
            using var answer = await AskAsync(Own, Bearer);
            return _seen.Last().Fields.Contains("Bearer rotated-s3cret\n", StringComparison.Ordinal);
        });
    }

    [Fact]
    public async Task A_web_socket_is_opened_with_it()
    {
        using var socket = new ClientWebSocket();
        using var client = new HttpMessageInvoker(new SocketsHttpHandler
        {
            Proxy = new WebProxy($"http://127.0.0.1:{_proxy.Port}"),
            SslOptions = { CertificateChainPolicy = _proxy.TrustOnlyOurCa() },
        });
        socket.Options.SetRequestHeader("Authorization", $"Bearer {Placeholder("GITHUB_TOKEN")}");
        await socket.ConnectAsync(new Uri($"wss://localhost:{_origin.HttpsPort}/socket"), client, CancellationToken.None);
        Assert.Contains($"Bearer {Secret}\n", Assert.Single(_seen).Fields, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("1.1")]
    [InlineData("2.0")]
    public async Task An_answer_streams_as_before(string version)
    {
        using var client = _proxy.Client(Version.Parse(version));
        using var request = new HttpRequestMessage(HttpMethod.Post, $"{Own}/stream") { Version = Version.Parse(version), Content = new StringContent("q") };
        Bearer(request);
        using var answer = await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        await using var body = await answer.Content.ReadAsStreamAsync();
        var first = new byte[5];
        await body.ReadExactlyAsync(first);
        Assert.Equal("first", Encoding.ASCII.GetString(first));
        _goOn.SetResult();
        Assert.Equal("second", await new StreamReader(body).ReadToEndAsync());
    }

    [Fact]
    public async Task What_is_cached_for_a_secret_is_nobody_elses_and_does_not_hold_it()
    {
        await RestartAsync($"{Section}\ncache: {{ dir: {{DIR}}/cache, rules: [{{host: localhost, pattern: \"^/cached\", mode: immutable}}] }}");
        for (var i = 0; i < 2; i++)
        {
            using var own = await AskAsync($"{Own}/cached", request => request.Headers.TryAddWithoutValidation("X-Key", Placeholder("GITHUB_TOKEN")));
            using var query = await AskAsync($"{Own}/cached?key={Placeholder("GITHUB_TOKEN")}", _ => { });
            using var nobody = await AskAsync($"{Own}/cached", _ => { });
            Assert.Equal(("with", "with", "without"), (await own.Content.ReadAsStringAsync(), await query.Content.ReadAsStringAsync(), await nobody.Content.ReadAsStringAsync()));
        }

        await AssertShownNowhereAsync("\"path\":\"/cached\"");
    }

    [Theory]
    [InlineData("rotated-s3cret\n")]
    [InlineData("")]
    public async Task What_is_cached_shows_no_value_that_the_file_has_had(string next)
    {
        await RestartAsync($"{Section}\ncache: {{ dir: {{DIR}}/cache, rules: [{{host: localhost, pattern: \"^/public\"}}] }}");
        using var first = await AskAsync($"{Own}/public", request => request.Headers.TryAddWithoutValidation("X-Key", Placeholder("GITHUB_TOKEN")));
        Assert.Equal($"key={Placeholder("GITHUB_TOKEN")}", await first.Content.ReadAsStringAsync());
        await File.WriteAllTextAsync(Path.Combine(Directory, "token"), next);
        var secret = _proxy.Services.GetRequiredService<IReadOnlyList<HeldSecret>>().Single(s => s.Name == "github");
        await Eventually.TrueAsync(() => Task.FromResult(secret.Read().Value != Secret));
        using var stored = await AskAsync($"{Own}/public", _ => { });
        Assert.Equal(($"key={Placeholder("GITHUB_TOKEN")}", "HIT"), (await stored.Content.ReadAsStringAsync(), Assert.Single(stored.Headers.GetValues("X-Cache"))));
    }

    /// <summary>A request may wait long after it was judged, as for an approval, and a file that is written anew holds half a value or none meanwhile.</summary>
    [Fact]
    public async Task What_was_judged_is_what_is_sent()
    {
        var secret = _proxy.Services.GetRequiredService<IReadOnlyList<HeldSecret>>().Single(s => s.Name == "github");
        var context = new DefaultHttpContext();
        context.Request.Method = "GET";
        context.Request.Headers.Authorization = $"Bearer {secret.Placeholder}";
        var request = new ProxiedRequest { Id = "1", Scheme = "https", Target = new ConnectTarget("localhost", 443), PathAndQuery = $"/?key={secret.Placeholder}" };
        context.Features.Set(request);
        Assert.Null((await _proxy.Services.GetRequiredService<ICredentialGuard>().JudgeAsync(context, request)).Error);
        await File.WriteAllTextAsync(Path.Combine(Directory, "token"), "");
        await Eventually.TrueAsync(() => Task.FromResult(secret.Read().Value is null));
        var fields = new FieldList();
        fields.Add("Authorization", $"Bearer {secret.Placeholder}");
        new CredentialRewriter([secret]).Rewrite(context.Request, "https", "localhost", fields);
        Assert.Equal(($"Bearer {Secret}", $"/?key={Uri.EscapeDataString(Secret)}"), (fields.Lines[0].Value, request.Sent));
    }

    [Fact]
    public async Task What_was_sent_is_told_by_its_name()
    {
        using var answer = await AskAsync(Own, Bearer);
        await AssertShownNowhereAsync("\"injected\":[\"Authorization\"]");
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Path.Combine(Directory, "placeholders.env")));
    }

    private async Task StartAsync(string section, string tls = "")
    {
        _proxy = await RunningProxy.StartAsync(section, tls);
        await File.WriteAllTextAsync(Path.Combine(Directory, "token"), Secret + "\n");
        _origin = await TestOrigin.StartAsync(_proxy.Upstreams.Issue(["localhost", "127.0.0.1"]), AnswerAsync);
        // A file that was not there when the proxy looked is looked for again with the next request.
        await Eventually.TrueAsync(async () =>
        {
            using var answer = await AskAsync(Own, Bearer);
            return answer.StatusCode != HttpStatusCode.ServiceUnavailable;
        });
        _seen.Clear();
    }

    private async Task RestartAsync(string section, string tls = "")
    {
        await DisposeAsync();
        await StartAsync(section, tls);
    }

    private async Task AnswerAsync(HttpContext context)
    {
        if (context.Request.Path == "/public")
        {
            context.Response.ContentType = "text/plain";
            context.Response.Headers.CacheControl = "public, max-age=600";
            await context.Response.WriteAsync($"key={context.Request.Headers["X-Key"]}");
            return;
        }

        var fields = string.Concat(context.Request.Headers.Select(field => $"{field.Key}: {field.Value}\n"));
        _seen.Enqueue((context.Features.Get<Microsoft.AspNetCore.Http.Features.IHttpRequestFeature>()!.RawTarget, "\n" + fields));
        if (context.WebSockets.IsWebSocketRequest)
        {
            using var socket = await context.WebSockets.AcceptWebSocketAsync();
            return;
        }

        if (context.Request.Path == "/stream")
        {
            await context.Response.WriteAsync("first");
            await _goOn.Task;
            await context.Response.WriteAsync("second");
            return;
        }

        await context.Response.WriteAsync(fields.Contains(Secret, StringComparison.Ordinal) || context.Request.Query["key"] == Secret ? "with" : "without");
    }

    private async Task<HttpResponseMessage> AskAsync(string address, Action<HttpRequestMessage> change)
    {
        using var client = _proxy.Client();
        using var request = new HttpRequestMessage(HttpMethod.Get, address);
        change(request);
        return await client.SendAsync(request);
    }

    private void Bearer(HttpRequestMessage request) => request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", Placeholder("GITHUB_TOKEN"));

    private string Placeholder(string name) =>
        File.ReadAllLines(Path.Combine(Directory, "placeholders.env")).Single(line => line.StartsWith(name + "=", StringComparison.Ordinal))[(name.Length + 1)..];

    /// <summary>Whatever the proxy keeps or tells, once the flow is told of.</summary>
    private async Task AssertShownNowhereAsync(string flow)
    {
        using var api = _proxy.Api();
        await Eventually.TrueAsync(async () => (await api.GetStringAsync("/api/flows")).Contains(flow, StringComparison.Ordinal)
            && File.Exists(Path.Combine(Directory, "audit.jsonl")) && (await File.ReadAllTextAsync(Path.Combine(Directory, "audit.jsonl"))).Contains(flow, StringComparison.Ordinal));
        string[] shown = [await api.GetStringAsync("/api/flows"), await api.GetStringAsync("/api/har"), await api.GetStringAsync("/metrics"), await api.GetStringAsync("/api/config"),
            .. System.IO.Directory.EnumerateFiles(Directory, "*", SearchOption.AllDirectories).Where(file => Path.GetFileName(file) is not ("token" or ".lock")).Select(Text)];
        foreach (var form in new[] { Secret, Uri.EscapeDataString(Secret), Base64(Secret), Base64($"u:{Secret}") })
            Assert.All(shown, text => Assert.DoesNotContain(form, text, StringComparison.Ordinal));
    }

    // The proxy holds some of them locked.
    private static string Text(string file)
    {
        using var reader = new StreamReader(new FileStream(file, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete), Encoding.Latin1);
        return reader.ReadToEnd();
    }

    private static string Base64(string text) => Convert.ToBase64String(Encoding.Latin1.GetBytes(text));
}
