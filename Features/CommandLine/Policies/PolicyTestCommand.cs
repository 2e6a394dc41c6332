using System.CommandLine;
using System.Text.Json;
using Discobot.Features.Allowlist;
using Discobot.Features.Api;
using Discobot.Features.Configuration;
using Discobot.Features.Egress;
using Discobot.Features.Interception;
using Discobot.Infrastructure.Config;
using Discobot.Infrastructure.Hosts;
using Discobot.Infrastructure.Wire;

namespace Discobot.Features.CommandLine.Policies;

/// <summary><c>discobot policy test</c>: a table of requests, judged by the code that the proxy judges with.</summary>
internal static class PolicyTestCommand
{
    public static Command Create()
    {
        var api = new RunningApi(withConfig: false);
        var table = new Argument<string>("FILE")
        {
            Description = "YAML such as requests: [{request: \"GET https://example.com/path\", expect: allowed}]. A request may also be tcp://HOST:PORT, for what is neither "
                + "HTTP nor TLS, or CONNECT HOST:PORT, for a tunnel that nobody looks into; expect is allowed, blocked or asked; rule names the entry that is to decide.",
        };
        var config = new ConfigFileOption("The configuration to try. Without it: what the running proxy has in force; where none runs, what a start would take.");
        var json = new Option<bool>("--json") { Description = "Print JSON." };
        var test = new Command("test", "Try a table of requests against a configuration. Exit code 0: all as expected, 1: not, 2: a file has mistakes.") { table, json };
        config.AddTo(test);
        api.AddTo(test);
        test.SetAction((parsed, cancellation) => RunningApi.RunAsync(parsed, async () =>
        {
            var path = parsed.GetValue(table)!;
            var expected = PolicyTable.Load(path);
            var settings = config.Of(parsed) is { } file ? PolicyCommand.Load(file) : await InForceAsync(api, parsed, cancellation);
            var (rules, passthrough) = (new AllowlistRules(settings.AllowlistInForce), new PassthroughHosts(new HostSet(settings.Tls.Passthrough)));
            var tried = expected.ConvertAll(request => request.Try(rules, passthrough));
            var result = new PolicyTestResult(path, tried.TrueForAll(t => t.Ok), tried.Count, tried.Count(t => !t.Ok), tried);
            if (parsed.GetValue(json))
                parsed.InvocationConfiguration.Output.WriteLine(JsonSerializer.Serialize(result, PolicyJson.Readable.PolicyTestResult));
            else
                Tell(parsed.InvocationConfiguration.Output, result);
            return result.Ok ? ExitCode.Fine : ExitCode.Failed;
        }));
        return test;
    }

    private static void Tell(TextWriter output, PolicyTestResult result)
    {
        foreach (var tried in result.Tried)
        {
            var wanted = tried.Ok ? "" : $", not {tried.Expected}{(tried.ExpectedRule is { } rule ? $" by {rule}" : "")}";
            var reason = tried.Ok || tried.Reason is null ? "" : $": {tried.Reason}";
            output.WriteLine($"{(tried.Ok ? "ok   " : "wrong")} {result.File}:{tried.Line}: {tried.Request} is {tried.Verdict} by {tried.Rule}{wanted}{reason}");
        }

        output.WriteLine($"{result.Requests} requests, {(result.Ok ? "all as expected" : $"{result.Unexpected} not as expected")}");
    }

    private static async Task<ProxySettings> InForceAsync(RunningApi api, ParseResult parsed, CancellationToken cancellation)
    {
        if (await ConfigShowCommand.AskAsync(api, parsed, cancellation) is not { } running)
        {
            var found = ChosenProxy.Find().Sources.Load();
            return found.Value ?? throw new ConfigurationException(found.ErrorText());
        }

        // Secrets are masked there, and may be no values that a file could have: only what is judged by is read.
        var read = ConfigDocument.Parse(running, "/api/config").Read(root =>
        {
            _ = root.Entries().Count();
            return ProxySettings.Default(DataDirectory.System) with
            {
                Allowlist = AllowlistOptions.Read(root["allowlist"]),
                Tls = TlsOptions.Read(root["tls"]),
                Egress = EgressOptions.Read(root["egress"]),
            };
        });
        return read.Value ?? throw new ConfigurationException(read.ErrorText());
    }
}

/// <summary>The table of <c>discobot policy test</c>.</summary>
internal static class PolicyTable
{
    /// <exception cref="ConfigurationException">It has mistakes; each is told with its place.</exception>
    public static List<ExpectedVerdict> Load(string path)
    {
        var read = ConfigDocument.Load(path).Read(root =>
        {
            var list = root["requests"];
            if (!list.Items().Any())
                list.Error("must name requests, as in [{request: \"GET https://example.com/path\", expect: allowed}]");
            return list.Items().Select(ExpectedVerdict.Read).OfType<ExpectedVerdict>().ToList();
        });
        return read.IsValid ? read.Value! : throw new ConfigurationException(read.ErrorText());
    }
}

/// <param name="Line">Of the table, from 1.</param>
/// <param name="Request">As it is written there.</param>
/// <param name="Verdict"><c>allowed</c>, <c>blocked</c> or <c>asked</c>.</param>
/// <param name="Rule">The entry that is to decide, in the form in which verdicts name it; null: any.</param>
internal sealed record ExpectedVerdict(int Line, string Request, string Verdict, string? Rule)
{
    public required Func<AllowlistRules, PassthroughHosts, EgressVerdict> Judge { get; init; }

    public static ExpectedVerdict? Read(ConfigNode node)
    {
        if (!node.IsMapping)
        {
            node.Error("must be {request, expect} or {request, expect, rule}");
            return null;
        }

        const string need = "is needed, as in {request: \"GET https://example.com/path\", expect: allowed}";
        var (request, expect) = (node.Needed("request", need), node.Needed("expect", need));
        var (text, verdict, rule) = (request.AsString(), expect.AsWord<string?>(null, ("allowed", "allowed"), ("blocked", "blocked"), ("asked", "asked")), ReadRule(node["rule"]));
        if (text is null || verdict is null || ReadRequest(text, request) is not { } judge)
            return null;
        return new ExpectedVerdict(node.Place.Line, text, verdict, rule) { Judge = judge };
    }

    public TriedRequest Try(AllowlistRules rules, PassthroughHosts passthrough)
    {
        var verdict = Judge(rules, passthrough);
        var outcome = verdict.Asks is not null ? "asked" : verdict.Allowed ? "allowed" : "blocked";
        return new TriedRequest(
            Line, Request, outcome == Verdict && (Rule is null || Plain(Rule) == Plain(verdict.Rule)), Verdict, Rule, outcome, verdict.Rule, verdict.Allowed ? null : verdict.Reason);
    }

    // An entry in any of the ways in which it may be written, or what a verdict says.
    private static string? ReadRule(ConfigNode node) => node.IsMapping ? DomainRule.Read(node)?.ToString() : node.AsString();

    private static string Plain(string rule)
    {
        var plain = rule.Replace("\"", "", StringComparison.Ordinal);
        return plain.StartsWith(AllowlistRules.Denied, StringComparison.Ordinal) ? plain[AllowlistRules.Denied.Length..] : plain;
    }

    private static Func<AllowlistRules, PassthroughHosts, EgressVerdict>? ReadRequest(string text, ConfigNode node)
    {
        var words = text.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        if (words is [var raw] && raw.StartsWith("tcp://", StringComparison.Ordinal) && ConnectTarget.TryParse(raw.AsSpan("tcp://".Length), null, out var other))
            return (rules, _) => rules.JudgeRawTunnel(other);
        if (words is ["CONNECT", var authority] && ConnectTarget.TryParse(authority, null, out var tunnel))
            return (rules, _) => rules.JudgeBlindTunnel(tunnel);
        string? problem = null;
        if (words is [var method, var url] && method != "CONNECT" && method.All(c => char.IsAsciiLetterUpper(c) || c == '-') && ExplainEndpoint.TryRead(url, out var request, out problem))
            return (rules, passthrough) => Explainer.Judge(rules, passthrough, method, request);
        node.Error(problem ?? $"must be METHOD URL, tcp://HOST:PORT or CONNECT HOST:PORT, not {ConfigPath.Quote(text)}");
        return null;
    }
}

/// <param name="File">The table.</param>
/// <param name="Ok">Whether all is as expected.</param>
/// <param name="Requests">How many were tried.</param>
/// <param name="Unexpected">How many are not as expected.</param>
/// <param name="Tried">Each, in the table's order.</param>
internal sealed record PolicyTestResult(string File, bool Ok, int Requests, int Unexpected, IReadOnlyList<TriedRequest> Tried);

/// <param name="Line">Of the table, from 1.</param>
/// <param name="Request">As it is written there.</param>
/// <param name="Ok">Whether it is as expected.</param>
/// <param name="Expected">The verdict that is expected.</param>
/// <param name="ExpectedRule">The entry that is expected to decide; null: any.</param>
/// <param name="Verdict">What happens: <c>allowed</c>, <c>blocked</c> or <c>asked</c>.</param>
/// <param name="Rule">The entry that decides, or <c>default</c>.</param>
/// <param name="Reason">Of a refusal.</param>
internal sealed record TriedRequest(int Line, string Request, bool Ok, string Expected, string? ExpectedRule, string Verdict, string Rule, string? Reason);
