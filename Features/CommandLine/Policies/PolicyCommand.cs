using System.CommandLine;
using System.Diagnostics.CodeAnalysis;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using Discobot.Features.Allowlist;
using Discobot.Features.Configuration;
using Discobot.Infrastructure.Wire;

namespace Discobot.Features.CommandLine.Policies;

/// <summary><c>discobot policy test|diff</c>: what configuration files let out, without a proxy.</summary>
internal static class PolicyCommand
{
    public static Command Create() => new("policy", "What configuration files let out: try it, compare it.") { Test(), Diff() };

    private static Command Test()
    {
        var table = new Argument<string>("FILE")
        {
            Description = "A line for each request: allow or block, then a method and a URL, or CONNECT and HOST:PORT for a tunnel that nobody looks into.",
        };
        var config = new ConfigFileOption("The configuration to try. Without it: the one that counts here.");
        var json = Json();
        var test = new Command("test", "Try a table of requests against a configuration. Exit code 0: all as expected, 1: not.") { table, json };
        config.AddTo(test);
        test.SetAction((parsed, _) => RunningApi.RunAsync(parsed, () =>
        {
            var rules = new AllowlistRules(Load(config.Of(parsed)).AllowlistInForce);
            var (output, path) = (parsed.InvocationConfiguration.Output, parsed.GetValue(table)!);
            var (tried, number, wrong) = (0, 0, new List<UnexpectedVerdict>());
            foreach (var line in File.ReadLines(path))
            {
                number++;
                if (line.Trim() is "" or ['#', ..])
                    continue;
                if (!Expectation.TryRead(line, out var expected))
                    throw new ConfigurationException($"{path}:{number}: must be \"allow METHOD URL\" or \"block METHOD URL\", not \"{line.Trim()}\"");
                tried++;
                var verdict = expected.Judge(rules);
                if (verdict.Allowed != expected.Allowed)
                    wrong.Add(new UnexpectedVerdict(number, expected.What, verdict.Allowed ? "allow" : "block", verdict.Rule, verdict.Allowed ? null : verdict.Reason));
            }

            if (parsed.GetValue(json))
                output.WriteLine(JsonSerializer.Serialize(new PolicyTestResult(path, wrong.Count == 0, tried, wrong), PolicyJson.Readable.PolicyTestResult));
            else
                Tell(output, path, tried, wrong);
            return Task.FromResult(wrong.Count == 0 ? ExitCode.Fine : ExitCode.Failed);
        }));
        return test;
    }

    private static void Tell(TextWriter output, string path, int tried, List<UnexpectedVerdict> wrong)
    {
        foreach (var (line, request, verdict, rule, reason) in wrong)
            output.WriteLine($"{path}:{line}: {request} is {(verdict == "allow" ? "allowed" : "blocked")} by {rule}{(reason is null ? "" : $": {reason}")}");
        output.WriteLine($"{tried} requests, {(wrong.Count == 0 ? "all as expected" : $"{wrong.Count} not as expected")}");
    }

    private static Option<bool> Json() => new("--json") { Description = "Print JSON." };

    private static Command Diff()
    {
        var json = Json();
        var older = new Argument<string>("OLD") { Description = "A configuration file." };
        var newer = new Argument<string>("NEW") { Description = "Another." };
        var diff = new Command("diff", "Say what two configurations let out differently. Exit code 0: nothing, 1: something.") { older, newer, json };
        diff.SetAction((parsed, _) => RunningApi.RunAsync(parsed, () =>
        {
            var (before, after) = (Lines(Load(parsed.GetValue(older)).Allowlist), Lines(Load(parsed.GetValue(newer)).Allowlist));
            var output = parsed.InvocationConfiguration.Output;
            var difference = new PolicyDiff([.. before.Except(after)], [.. after.Except(before)]);
            if (parsed.GetValue(json))
                output.WriteLine(JsonSerializer.Serialize(difference, PolicyJson.Readable.PolicyDiff));
            else
                output.Write(string.Concat([.. difference.Removed.Select(gone => $"- {gone}\n"), .. difference.Added.Select(added => $"+ {added}\n")]));
            return Task.FromResult(difference.Same ? ExitCode.Fine : ExitCode.Failed);
        }));
        return diff;
    }

    private static ProxySettings Load(string? file)
    {
        var none = new Dictionary<string, string>();
        var loaded = file is null ? ChosenProxy.Find().Sources.Load() : new SettingsSources(Path.GetFullPath(file), none, none, DataDirectory.System).Load();
        return loaded.Value ?? throw new ConfigurationException(loaded.ErrorText());
    }

    private static List<string> Lines(AllowlistOptions options) =>
    [
        options.Enabled ? options.Mode == AllowlistMode.Ask ? "what no entry decides is asked" : "what no entry allows is blocked" : "what no entry denies is allowed",
        .. options.Mode == AllowlistMode.Learn ? (string[])["it learns: what no entry denies is allowed"] : [],
        .. options.AllowPrivate ? (string[])["names may lead to private addresses"] : [],
        .. options.AllDomains.Select(rule => $"allow {rule}"),
        .. options.Ips.Select(range => $"allow {range}"),
        .. options.Deny.Select(rule => $"deny {rule}"),
    ];

    /// <param name="Allowed">What is expected.</param>
    /// <param name="Method">CONNECT: a tunnel.</param>
    private sealed record Expectation(bool Allowed, string Method, ConnectTarget Target, string Path, string What)
    {
        public static bool TryRead(string line, [NotNullWhen(true)] out Expectation? expectation)
        {
            expectation = null;
            if (line.Split([' ', '\t'], StringSplitOptions.RemoveEmptyEntries) is not [("allow" or "block") and var verdict, var method, var address])
                return false;
            var (path, what) = ("", $"{method} {address}");
            ConnectTarget target;
            if (method == "CONNECT")
            {
                if (!ConnectTarget.TryParse(address, null, out target))
                    return false;
            }
            else if (Interception.RequestGate.ResolvePlain(address, id: "").Request is { } request)
            {
                (target, path) = (request.Target, request.Path);
            }
            else
            {
                return false;
            }

            expectation = new Expectation(verdict == "allow", method, target, path, what);
            return true;
        }

        public EgressVerdict Judge(AllowlistRules rules) => Method == "CONNECT" ? rules.JudgeBlindTunnel(Target) : rules.JudgeRequest(Target, Method, Path);
    }
}

/// <param name="File">The table.</param>
/// <param name="Ok">Whether all is as expected.</param>
/// <param name="Requests">How many were tried.</param>
/// <param name="Unexpected">Those that are not as expected.</param>
internal sealed record PolicyTestResult(string File, bool Ok, int Requests, IReadOnlyList<UnexpectedVerdict> Unexpected);

/// <param name="Line">Of the table, from 1.</param>
/// <param name="Request">As it is written there.</param>
/// <param name="Verdict"><c>allow</c> or <c>block</c>: what happens.</param>
/// <param name="Rule">The entry that decides, or <c>default</c>.</param>
/// <param name="Reason">Of a refusal.</param>
internal sealed record UnexpectedVerdict(int Line, string Request, string Verdict, string Rule, string? Reason);

/// <param name="Removed">What the old one says and the new one does not, a sentence each.</param>
/// <param name="Added">What the new one says alone.</param>
internal sealed record PolicyDiff(IReadOnlyList<string> Removed, IReadOnlyList<string> Added)
{
    public bool Same => Removed.Count + Added.Count == 0;
}

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull, WriteIndented = true)]
[JsonSerializable(typeof(PolicyTestResult))]
[JsonSerializable(typeof(PolicyDiff))]
internal sealed partial class PolicyJson : JsonSerializerContext
{
    /// <summary>For people in terminals: quotes as \", not as \u0022.</summary>
    public static PolicyJson Readable =>
        field ??= new(new JsonSerializerOptions(Default.Options) { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping });
}
