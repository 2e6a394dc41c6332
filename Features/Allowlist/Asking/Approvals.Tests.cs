using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json;
using Discobot.Infrastructure;
using Discobot.Infrastructure.Wire;
using Discobot.Tests.Fixtures;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;

namespace Discobot.Features.Allowlist.Asking;

/// <summary>Clients that wait, and whoever watches, at the whole proxy.</summary>
public sealed class ApprovalsTests : IAsyncLifetime
{
    private RunningProxy _proxy = null!;
    private TestOrigin _origin = null!;

    public async Task InitializeAsync()
    {
        _proxy = await StartAsync("60s");
        _origin = await TestOrigin.StartAsync(_proxy.Upstreams.Issue(["localhost"]), context => context.Response.WriteAsync("reached"));
    }

    public async Task DisposeAsync()
    {
        await _origin.DisposeAsync();
        await _proxy.DisposeAsync();
    }

    [Theory]
    [InlineData("http")]
    [InlineData("https")]
    [InlineData("https by SOCKS5")]
    public async Task A_request_waits_for_the_answer_and_the_session_needs_no_other(string way)
    {
        using var client = way.EndsWith("SOCKS5", StringComparison.Ordinal) ? SocksClient() : _proxy.Client();
        var url = (way == "http" ? _origin.Http : _origin.Https) + "/path?secret=1";
        var waiting = client.GetAsync(url);
        var question = await QuestionAsync();

        Assert.Equal(("localhost", 1), (question.Host, question.Waiting));
        Assert.Null(question.Port);
        Assert.Equal(way.EndsWith("SOCKS5", StringComparison.Ordinal) ? ("CONNECT", null) : ("GET", "/path"), (question.Method, question.Path));
        Assert.False(waiting.IsCompleted);

        Assert.Equal(HttpStatusCode.OK, await AnswerAsync(question.Id, "session"));
        Assert.Equal("reached", await (await waiting).Content.ReadAsStringAsync());
        Assert.Equal("reached", await client.GetStringAsync(url));
        Assert.Empty(await QuestionsAsync());
        Assert.Equal(("allow", "session", "tester"), await GrantAsync());
    }

    [Fact]
    public async Task Requests_of_one_host_share_a_question_and_its_answer()
    {
        using var client = _proxy.Client();
        var waiting = Enumerable.Range(0, 5).Select(i => client.GetAsync($"{_origin.Http}/{i}")).ToArray();
        await Eventually.TrueAsync(async () => (await QuestionsAsync()) is [{ Waiting: 5, Requests: 5 }]);
        await AnswerAsync((await QuestionAsync()).Id, "session");
        Assert.All(await Task.WhenAll(waiting), response => Assert.Equal(HttpStatusCode.OK, response.StatusCode));
    }

    [Fact]
    public async Task What_is_allowed_once_is_asked_again_when_it_is_over()
    {
        using var client = _proxy.Client();
        var waiting = client.GetStringAsync(_origin.Https);
        await AnswerAsync((await QuestionAsync()).Id, "once");
        Assert.Equal("reached", await waiting);
        await Eventually.TrueAsync(async () => (await ApiAsync<IReadOnlyList<GrantReport>>("/api/grants")).Count == 0);

        var again = client.GetAsync(_origin.Https);
        await AnswerAsync((await QuestionAsync()).Id, "deny");
        Assert.Equal(HttpStatusCode.Forbidden, (await again).StatusCode);
    }

    [Fact]
    public async Task What_began_while_it_was_allowed_once_goes_on()
    {
        using var client = _proxy.Client();
        var gates = new Dictionary<string, (TaskCompletionSource Begun, TaskCompletionSource End)> { ["/first"] = (new(), new()), ["/second"] = (new(), new()) };
        await using var slow = await TestOrigin.StartAsync(_proxy.Upstreams.Issue(["localhost"]), async context =>
        {
            var (begun, end) = gates[context.Request.Path];
            await context.Response.WriteAsync("be");
            await context.Response.Body.FlushAsync();
            begun.SetResult();
            await end.Task;
            await context.Response.WriteAsync("gun");
        });
        var first = client.GetStringAsync(slow.Http + "/first");
        await AnswerAsync((await QuestionAsync()).Id, "once");
        await gates["/first"].Begun.Task;
        // It waits for nobody, as it is allowed now, and is not cut off when what was waited for is over.
        var second = client.GetStringAsync(slow.Http + "/second");
        await gates["/second"].Begun.Task;
        gates["/first"].End.SetResult();
        Assert.Equal("begun", await first);
        await Eventually.TrueAsync(async () => (await ApiAsync<IReadOnlyList<GrantReport>>("/api/grants")).Count == 0);
        gates["/second"].End.SetResult();
        Assert.Equal("begun", await second);
    }

    [Fact]
    public async Task What_is_refused_is_refused_at_once_until_that_is_taken_back()
    {
        using var client = _proxy.Client();
        var waiting = client.GetAsync(_origin.Http);
        await AnswerAsync((await QuestionAsync()).Id, "deny");
        Assert.Equal(HttpStatusCode.Forbidden, (await waiting).StatusCode);
        using var refused = await client.GetAsync(_origin.Http);
        Assert.Equal(HttpStatusCode.Forbidden, refused.StatusCode);
        var grant = Assert.Single(await ApiAsync<IReadOnlyList<GrantReport>>("/api/grants")).Id;
        Assert.Contains($"Refused for the session by tester ({grant})", await refused.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        using var api = _proxy.Api();
        using var explained = JsonDocument.Parse(await api.GetStringAsync($"/api/explain?url={Uri.EscapeDataString(_origin.Http)}"));
        Assert.Equal("blocked", explained.RootElement.GetProperty("outcome").GetString());
        Assert.Contains($"({grant})", explained.RootElement.GetProperty("allowlist").GetProperty("reason").GetString(), StringComparison.Ordinal);

        Assert.Equal(HttpStatusCode.OK, await SendAsync(HttpMethod.Delete, "/api/grants/" + grant));
        Assert.Equal(HttpStatusCode.NotFound, await SendAsync(HttpMethod.Delete, "/api/grants/" + grant));
        var again = client.GetAsync(_origin.Http);
        await AnswerAsync((await QuestionAsync()).Id, "1h");
        Assert.Equal(HttpStatusCode.OK, (await again).StatusCode);
    }

    [Fact]
    public async Task Without_an_answer_it_is_refused_and_says_how_to_ask_again()
    {
        await using var proxy = await StartAsync("1s");
        using var client = proxy.Client();
        using var response = await client.GetAsync("http://nowhere.test/");
        var body = await response.Content.ReadAsStringAsync();
        Assert.Equal(HttpStatusCode.Forbidden, response.StatusCode);
        Assert.Matches("It was asked for 1s as question q[a-z]{2}1 and nobody answered: try again, .*discobot approve", body);
    }

    [Fact]
    public async Task Who_may_reach_the_API_sees_the_questions_and_only_who_has_the_token_answers()
    {
        using var client = _proxy.Client();
        var waiting = client.GetAsync(_origin.Http);
        var question = await QuestionAsync();
        using var api = _proxy.Api();
        using var body = new StringContent("""{"decision": "session"}""");
        Assert.Equal(HttpStatusCode.Unauthorized, (await api.PostAsync($"/api/approvals/{question.Id}", body)).StatusCode);
        Assert.Equal(HttpStatusCode.Unauthorized, (await api.DeleteAsync("/api/grants/g1")).StatusCode);
        Assert.Single(await QuestionsAsync());

        Assert.Equal(HttpStatusCode.BadRequest, await AnswerAsync(question.Id, "perhaps"));
        Assert.Equal(HttpStatusCode.BadRequest, await AnswerAsync(question.Id, "0s"));
        Assert.Equal(HttpStatusCode.BadRequest, await SendAsync(HttpMethod.Post, $"/api/approvals/{question.Id}", "{"));
        Assert.Equal(HttpStatusCode.BadRequest, await SendAsync(HttpMethod.Post, $"/api/approvals/{question.Id}", $"{{\"decision\": \"{new string('x', 5000)}\"}}"));
        Assert.Equal(HttpStatusCode.NotFound, await AnswerAsync("q99", "session"));
        Assert.False(waiting.IsCompleted);
        await AnswerAsync(question.Id, "session");
        Assert.Equal(HttpStatusCode.OK, (await waiting).StatusCode);
    }

    [Fact]
    public async Task A_client_that_leaves_waits_no_more_and_what_is_over_cannot_be_allowed_once()
    {
        using var client = _proxy.Client();
        // As a process that is killed: whoever only says that it will send no more still waits for its answer.
        var leaving = new TcpClient("127.0.0.1", _proxy.Port) { LingerState = new LingerOption(true, 0) };
        await leaving.GetStream().WriteAsync(Encoding.ASCII.GetBytes($"GET {_origin.Http}/ HTTP/1.1\r\nHost: localhost:{_origin.HttpPort}\r\n\r\n"));
        var question = await QuestionAsync();
        leaving.Close();
        await Eventually.TrueAsync(async () => (await QuestionsAsync()) is [{ Waiting: 0 }]);
        Assert.Equal(HttpStatusCode.Conflict, await AnswerAsync(question.Id, "once"));
        Assert.Equal(HttpStatusCode.OK, await AnswerAsync(question.Id, "session"));
        Assert.Equal(HttpStatusCode.OK, (await client.GetAsync(_origin.Http)).StatusCode);
    }

    [Theory]
    [InlineData("""{"allowlist": {"domains": ["localhost"]}}""", HttpStatusCode.OK)]
    [InlineData("""{"allowlist": {"deny": ["localhost"]}}""", HttpStatusCode.Forbidden)]
    [InlineData("""{"allowlist": {"mode": "enforce"}}""", HttpStatusCode.Forbidden)]
    public async Task Rules_that_change_meanwhile_are_an_answer(string change, HttpStatusCode status)
    {
        using var client = _proxy.Client();
        var waiting = client.GetAsync(_origin.Http);
        await QuestionAsync();
        Assert.Equal(HttpStatusCode.OK, await SendAsync(HttpMethod.Patch, "/api/config", change));
        Assert.Equal(status, (await waiting).StatusCode);
        Assert.Empty(await QuestionsAsync());
    }

    [Fact]
    public async Task A_time_that_is_over_ends_what_goes_on()
    {
        using var client = _proxy.Client();
        await using var slow = await TestOrigin.StartAsync(_proxy.Upstreams.Issue(["localhost"]), async context =>
        {
            await context.Response.WriteAsync("begun");
            await context.Response.Body.FlushAsync();
            await Task.Delay(Timeout.Infinite, context.RequestAborted).ContinueWith(_ => { }, TaskScheduler.Default);
        });
        var waiting = client.GetAsync(slow.Http, HttpCompletionOption.ResponseHeadersRead);
        await AnswerAsync((await QuestionAsync()).Id, "10s");
        using var response = await waiting;
        await Assert.ThrowsAnyAsync<HttpRequestException>(() => response.Content.ReadAsStringAsync());
        Assert.Empty(await ApiAsync<IReadOnlyList<GrantReport>>("/api/grants"));
    }

    [Fact]
    public async Task What_waits_holds_up_no_stop()
    {
        using var client = _proxy.Client();
        var waiting = client.GetAsync(_origin.Http);
        await QuestionAsync();
        _proxy.Services.GetRequiredService<Approvals>().Close();
        using var response = await waiting;
        Assert.Equal(HttpStatusCode.Forbidden, response.StatusCode);
        Assert.Contains("the proxy has ended", await response.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Whoever_reads_the_audit_log_finds_who_answered()
    {
        using var client = _proxy.Client();
        var waiting = client.GetAsync(_origin.Http);
        await AnswerAsync((await QuestionAsync()).Id, "session");
        await waiting;
        await Eventually.TrueAsync(async () =>
        {
            using var api = _proxy.Api();
            using var flows = JsonDocument.Parse(await api.GetStringAsync("/api/flows"));
            return flows.RootElement.GetProperty("flows").EnumerateArray().Count(f => f.GetProperty("rule").GetString()!.StartsWith("granted for the session by tester (g", StringComparison.Ordinal)
                && f.GetProperty("host").GetString() == "localhost" && f.GetProperty("entry").GetString() is "approval" or "http") == 2;
        });
    }

    [Fact]
    public async Task Another_protocol_than_HTTP_and_TLS_is_allowed_at_its_port_alone()
    {
        using var database = new TcpListener(IPAddress.Loopback, 0);
        database.Start();
        var port = ((IPEndPoint)database.LocalEndpoint).Port;
        _ = Task.Run(async () =>
        {
            using var client = await database.AcceptTcpClientAsync();
            await client.GetStream().ReadExactlyAsync(new byte[1]);
            await client.GetStream().WriteAsync("answer"u8.ToArray());
        });
        await using var proxy = await StartAsync("60s", $"egress: {{mode: enforce, port: {RunningProxy.FreePort()}, dns_port: {RunningProxy.FreePort()}}}");
        using var client = new TcpClient("127.0.0.1", proxy.Port);
        await client.GetStream().WriteAsync(Encoding.ASCII.GetBytes($"CONNECT localhost:{port} HTTP/1.1\r\n\r\n"));
        await client.GetStream().ReadExactlyAsync(new byte["HTTP/1.1 200 Connection established\r\n\r\n".Length]);
        await client.GetStream().WriteAsync(new byte[] { 0, 0, 0, 8 });
        var question = await QuestionAsync(proxy);
        Assert.Equal(port, question.Port);
        await AnswerAsync(question.Id, "session", proxy);
        var answer = new byte[6];
        await client.GetStream().ReadExactlyAsync(answer).AsTask().WaitAsync(TimeSpan.FromSeconds(30));
        Assert.Equal("answer", Encoding.ASCII.GetString(answer));
        Assert.Equal(port, Assert.Single(await ApiAsync<IReadOnlyList<GrantReport>>("/api/grants", proxy)).Port);

        // What somebody allowed is no rule against the rest: that is asked as well.
        using var http = proxy.Client();
        var waiting = http.GetAsync(_origin.Http);
        await AnswerAsync((await QuestionAsync(proxy)).Id, "deny", proxy);
        Assert.Equal(HttpStatusCode.Forbidden, (await waiting).StatusCode);
    }

    [Fact]
    public async Task More_questions_than_anybody_could_answer_are_refused_at_once()
    {
        var options = new AllowlistOptions { Enabled = true, Mode = AllowlistMode.Ask, AskTimeout = TimeSpan.FromHours(1) };
        var live = new Live<AllowlistRules>(new AllowlistRules(options));
        using var approvals = new Approvals(options, live, new FlowRecorder([]), TimeProvider.System, NullLogger<Approvals>.Instance);
        using var over = new CancellationTokenSource();
        var waiting = Enumerable.Range(0, Approvals.MaxQuestions).Select(i => AskAsync($"h{i}.test")).ToArray();
        Assert.Equal(Approvals.MaxQuestions, approvals.Questions().Count);

        var refused = await AskAsync("other.test");
        Assert.False(refused.Verdict.Allowed);
        Assert.Contains("questions are open already", refused.Verdict.Reason, StringComparison.Ordinal);
        var shared = AskAsync("h7.test");
        approvals.Decide(approvals.Questions().Single(q => q.Host == "h7.test").Id, new Answer(true, GrantScope.Session, default, "tester"));
        Assert.True((await shared).Verdict.Allowed);
        Assert.True((await waiting[7]).Verdict.Allowed);
        await over.CancelAsync();
        await Task.WhenAll(waiting).ContinueWith(_ => { }, TaskScheduler.Default);
        Assert.All(approvals.Questions(), q => Assert.Equal(0, q.Waiting));

        Task<Approval> AskAsync(string host) => approvals.AskAsync(
            live.Value.JudgeTunnel(new ConnectTarget(host, 443)), new EgressQuestion(new ConnectTarget(host, 443), null, "GET", "/"), over.Token).AsTask();
    }

    private static Task<RunningProxy> StartAsync(string timeout, string more = "") =>
        RunningProxy.StartAsync($"allowlist: {{enabled: true, mode: ask, ask_timeout: {timeout}, allow_private: true}}\n{more}");

    // Not inspected: what arrives is the server's own certificate.
    private HttpClient SocksClient()
    {
        return new HttpClient(new SocketsHttpHandler { Proxy = new WebProxy($"socks5://127.0.0.1:{_proxy.Port}"), SslOptions = { CertificateChainPolicy = _proxy.Upstreams.TrustOnlyThis() } });
    }

    private Task<IReadOnlyList<OpenQuestion>> QuestionsAsync(RunningProxy? proxy = null) => ApiAsync<IReadOnlyList<OpenQuestion>>("/api/approvals", proxy);

    private async Task<OpenQuestion> QuestionAsync(RunningProxy? proxy = null)
    {
        IReadOnlyList<OpenQuestion> open = [];
        await Eventually.TrueAsync(async () => (open = await QuestionsAsync(proxy)).Count > 0);
        return Assert.Single(open);
    }

    private async Task<(string, string, string)> GrantAsync()
    {
        var grant = Assert.Single(await ApiAsync<IReadOnlyList<GrantReport>>("/api/grants"));
        return (grant.Decision, grant.Scope, grant.By);
    }

    private async Task<T> ApiAsync<T>(string path, RunningProxy? proxy = null)
    {
        using var api = (proxy ?? _proxy).Api();
        return (T)JsonSerializer.Deserialize(await api.GetStringAsync(path), typeof(T), ApprovalJson.Default)!;
    }

    private Task<HttpStatusCode> AnswerAsync(string id, string decision, RunningProxy? proxy = null) =>
        SendAsync(HttpMethod.Post, $"/api/approvals/{id}", $"{{\"decision\": \"{decision}\", \"by\": \"tester\"}}", proxy);

    private async Task<HttpStatusCode> SendAsync(HttpMethod method, string path, string? body = null, RunningProxy? proxy = null)
    {
        using var api = (proxy ?? _proxy).Api();
        var token = await File.ReadAllTextAsync(Path.Combine(Path.GetDirectoryName((proxy ?? _proxy).LogFile)!, "api.token"));
        using var request = new HttpRequestMessage(method, path) { Headers = { Authorization = new AuthenticationHeaderValue("Bearer", token.Trim()) } };
        if (body is not null)
            request.Content = new StringContent(body, Encoding.UTF8, "application/json");
        using var response = await api.SendAsync(request);
        return response.StatusCode;
    }
}
