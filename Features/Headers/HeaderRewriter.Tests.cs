using System.Collections.Concurrent;
using System.Text;
using Discobot.Infrastructure;
using Discobot.Infrastructure.Config;
using Discobot.Infrastructure.Hosts;
using Discobot.Infrastructure.Http1;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace Discobot.Features.Headers;

public sealed class HeaderRewriterTests : IDisposable
{
    private readonly string _file = Path.Combine(Path.GetTempPath(), $"token-{Guid.NewGuid():N}");
    private readonly Clock _clock = new();
    private readonly Lines _log = new();
    private readonly SecretFiles _files;
    private HeaderRules? _rules;

    public HeaderRewriterTests() => _files = new SecretFiles(_clock);

    [Fact]
    public void A_host_without_a_rule_gets_what_the_client_sent()
    {
        var sent = Send("{api.example.com: {set: {A: x}}}", "https://other.example.com/", ("A", "mine"), ("B", "2"));
        Assert.Equal(["A: mine", "B: 2"], Fields(sent));
    }

    [Fact]
    public void Set_replaces_and_append_adds_after_a_comma()
    {
        var sent = Send("{a.com: {set: {Authorization: s, Content-Language: de, New: n}, append: {X-List: c, Other: o}}}", "https://a.com/x",
            ("authorization", "client"), ("X-List", "a"), ("X-List", "b"), ("Content-Language", "en"));
        Assert.Equal(["Authorization: s", "Content-Language: de", "New: n", "Other: o", "X-List: a", "X-List: b, c"], Fields(sent));
    }

    [Fact]
    public void The_most_specific_pattern_wins_alone()
    {
        const string Rules = """
            "*": {set: {R: any}}
            "*.example.com": {set: {R: wide, W: w}}
            "api.*": {set: {R: prefix}}
            "api.example.com": {set: {R: exact}}
            """;
        Assert.Equal(["R: exact"], Fields(Send(Rules, "https://API.example.com./")));
        Assert.Equal(["R: wide", "W: w"], Fields(Send(Rules, "https://x.example.com/")));
        Assert.Equal(["R: prefix"], Fields(Send(Rules, "https://api.org/")));
        Assert.Equal(["R: any"], Fields(Send(Rules, "https://[2001:db8::1]:8443/")));
    }

    [Fact]
    public void All_conditions_must_hold_on_what_the_client_sent()
    {
        const string Rules = "{a.com: {set: {X-Env: no, T: t}, conditions: [{header: x-env, equals: prod}, {header: Team, equals: blue}]}}";
        Assert.Equal(["T: t", "Team: blue", "X-Env: no"], Fields(Send(Rules, "https://a.com/", ("X-Env", "prod"), ("Team", "blue"))));
        Assert.Equal(["X-Env: prod"], Fields(Send(Rules, "https://a.com/", ("X-Env", "prod"))));
        Assert.Equal(["Team: blue", "X-Env: Prod"], Fields(Send(Rules, "https://a.com/", ("X-Env", "Prod"), ("Team", "blue"))));
    }

    [Fact]
    public void Nothing_is_sent_over_plain_http_unless_the_rule_allows_it()
    {
        Assert.Empty(Fields(Send("{a.com: {set: {T: s3cret}}}", "http://a.com/")));
        Assert.Contains("plain http", Assert.Single(_log.Written), StringComparison.Ordinal);
        Assert.Equal(["T: s3cret"], Fields(Send("{a.com: {set: {T: s3cret}, allow_plaintext: true}}", "http://a.com/")));
    }

    [Fact]
    public void Nothing_is_sent_to_an_upstream_that_is_not_verified()
    {
        Assert.Empty(Fields(Send("{\"*\": {set: {T: s3cret}, allow_plaintext: true}}", "https://self.signed.example/")));
        Assert.Contains("tls.insecure_hosts", Assert.Single(_log.Written), StringComparison.Ordinal);
    }

    [Fact]
    public void Nothing_is_sent_that_the_server_would_send_back()
    {
        var context = new DefaultHttpContext();
        context.Request.Method = "TRACE";
        var fields = new FieldList();
        Rewriter("{a.com: {set: {T: s3cret}}}").Rewrite(context.Request, "https", "a.com", fields);
        Assert.Empty(fields.Lines);
    }

    [Fact]
    public void A_redirect_out_of_the_patterns_hosts_leaves_the_secret_behind()
    {
        const string Rules = "{\"*.example.com\": {set: {Authorization: s3cret}}}";
        Assert.Equal(["Authorization: s3cret"], Fields(Send(Rules, "https://api.example.com/")));
        // What the client then asks for, with what it sent the first time: it never saw the secret.
        Assert.Empty(Fields(Send(Rules, "https://evil.example.net/")));
        Assert.Empty(Fields(Send(Rules, "https://example.com.evil.net/")));
        Assert.Empty(Fields(Send(Rules, "http://api.example.com/")));
    }

    [Fact]
    public void The_destination_decides_and_not_what_the_client_calls_it()
    {
        var sent = Send("{api.example.com: {set: {T: s3cret}}}", "https://evil.net/",
            ("Host", "api.example.com"), ("X-Forwarded-Host", "api.example.com"));
        Assert.DoesNotContain(Fields(sent), f => f.Contains("s3cret", StringComparison.Ordinal));
    }

    [Fact]
    public void A_token_file_is_read_again_when_it_changes_and_its_absence_is_told_once()
    {
        File.WriteAllText(_file, "one\n");
        var rewriter = Rewriter($"{{a.com: {{set: {{T: \"file:{_file}\"}}}}}}");
        Assert.Equal(["T: one"], Fields(Send(rewriter, "https://a.com/")));
        File.WriteAllText(_file, "two\n");
        _clock.Now += TimeSpan.TicksPerSecond;
        Assert.Equal(["T: two"], Fields(Send(rewriter, "https://a.com/")));

        File.WriteAllText(_file, "two\r\nEvil: x");
        for (var i = 0; i < 3; i++)
        {
            _clock.Now += TimeSpan.TicksPerSecond;
            Assert.Equal(["T: mine"], Fields(Send(rewriter, "https://a.com/", ("T", "mine"))));
        }

        var line = Assert.Single(_log.Written);
        Assert.Contains(_file, line, StringComparison.Ordinal);
        Assert.DoesNotContain("two", line, StringComparison.Ordinal);
    }

    [Fact]
    public void A_variable_that_is_not_set_is_told_once()
    {
        var rewriter = Rewriter("{a.com: {set: {T: \"env:DISCOBOT_TEST_NEVER_SET\"}}}");
        for (var i = 0; i < 3; i++)
            Assert.Empty(Fields(Send(rewriter, "https://a.com/")));
        Assert.Contains("DISCOBOT_TEST_NEVER_SET", Assert.Single(_log.Written), StringComparison.Ordinal);
    }

    [Fact]
    public void No_text_form_of_rules_or_values_shows_a_secret()
    {
        var options = Options("{a.com: {set: {T: s3cret}, conditions: [{header: C, equals: s3cret}]}}");
        var value = new ActiveValue("T", options.Rules[0].Set[0].Value, _files);
        var rule = options.Rules[0];
        string[] shown = [$"{options}", $"{rule}", $"{rule.Set[0]}", $"{rule.Conditions[0]}", $"{value}", $"{value.Read()}"];
        Assert.Equal("s3cret", value.Read().Value);
        Assert.All(shown, text => Assert.DoesNotContain("s3cret", text, StringComparison.Ordinal));
    }

    [Fact]
    public void On_the_wire_the_server_sees_exactly_one_replaced_field()
    {
        var fields = Send("{a.com: {set: {Authorization: \"Bearer s3cret\"}, append: {X-L: b}}}", "https://a.com/",
            ("authorization", "Bearer mine"), ("X-L", "a"), ("Authorization", "Bearer mine too"));
        using var head = new HeadWriter();
        head.AddRequest("GET", "/", fields.Lines);
        Assert.Equal("GET / HTTP/1.1\r\nAuthorization: Bearer s3cret\r\nX-L: a, b\r\n\r\n", Encoding.Latin1.GetString(head.Written.Span));
    }

    public void Dispose() => File.Delete(_file);

    private FieldList Send(string rules, string uri, params (string Name, string Value)[] sent) => Send(Rewriter(rules), uri, sent);

    private FieldList Send(HeaderRewriter rewriter, string uri, params (string Name, string Value)[] sent)
    {
        var context = new DefaultHttpContext();
        var fields = new FieldList();
        foreach (var (name, value) in sent)
        {
            context.Request.Headers.Append(name, value);
            if (name != "Host")
                fields.Add(name, value);
        }

        var destination = new Uri(uri);
        // As the stage before does.
        if (CanonicalHost.TryParse(destination.IdnHost, out var host) && _rules!.Find(host) is { } rule)
            Assert.True(rule.RefreshAsync(CancellationToken.None).AsTask().Wait(TimeSpan.FromSeconds(20)));
        rewriter.Rewrite(context.Request, destination.Scheme, destination.IdnHost, fields);
        return fields;
    }

    private HeaderRewriter Rewriter(string rules)
    {
        Assert.True(HostPattern.TryParse("*.signed.example", out var unverified));
        _rules = new HeaderRules(Options(rules), _files);
        return new HeaderRewriter(new Live<HeaderRules>(_rules), new HostSet([unverified]), _log);
    }

    private static HeaderOptions Options(string rules)
    {
        var read = ConfigDocument.Parse(rules, "t").Read(n => HeaderOptions.Read(n));
        return read.IsValid ? read.Value : throw new FormatException(read.ErrorText());
    }

    // Every field line on its own, by name.
    private static IEnumerable<string> Fields(FieldList fields) =>
        fields.Lines.Select(line => $"{line.Key}: {line.Value}").Order(StringComparer.Ordinal);

    private sealed class Clock : TimeProvider
    {
        public long Now { get; set; }

        public override long TimestampFrequency => TimeSpan.TicksPerSecond;

        public override long GetTimestamp() => Now;
    }

    private sealed class Lines : ILogger<HeaderRewriter>
    {
        public ConcurrentQueue<string> Written { get; } = new();

        public IDisposable? BeginScope<TState>(TState state) where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(
            LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
            Written.Enqueue(formatter(state, exception));
    }
}
