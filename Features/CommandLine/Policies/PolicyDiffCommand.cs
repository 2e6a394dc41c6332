using System.CommandLine;
using System.Text.Json;
using Discobot.Features.Allowlist;
using Discobot.Features.Configuration;

namespace Discobot.Features.CommandLine.Policies;

/// <summary><c>discobot policy diff</c>: what two configurations let out differently.</summary>
internal static class PolicyDiffCommand
{
    public static Command Create()
    {
        var json = new Option<bool>("--json") { Description = "Print JSON." };
        var older = new Argument<string>("OLD") { Description = "A configuration file." };
        var newer = new Argument<string>("NEW") { Description = "Another." };
        var diff = new Command("diff", "Say what becomes allowed and what becomes blocked from one configuration to another. Exit code 0: nothing differs, 1: something, "
            + "2: a file has mistakes.") { older, newer, json };
        diff.SetAction((parsed, _) => RunningApi.RunAsync(parsed, () =>
        {
            var difference = PolicyDiff.Of(PolicyCommand.Load(parsed.GetValue(older)!), PolicyCommand.Load(parsed.GetValue(newer)!));
            var output = parsed.InvocationConfiguration.Output;
            if (parsed.GetValue(json))
                output.WriteLine(JsonSerializer.Serialize(difference, PolicyJson.Readable.PolicyDiff));
            else
                Tell(output, difference);
            return Task.FromResult(difference.Same ? ExitCode.Fine : ExitCode.Failed);
        }));
        return diff;
    }

    private static void Tell(TextWriter output, PolicyDiff difference)
    {
        foreach (var (title, changes) in (IEnumerable<(string, IReadOnlyList<PolicyChange>)>)
            [("becomes allowed", difference.Allowed), ("becomes blocked", difference.Blocked), ("passes otherwise", difference.Changed), ("lets out the same", difference.Other)])
        {
            if (changes.Count > 0)
                output.WriteLine($"{title}:");
            foreach (var (sign, what, key) in changes)
                output.WriteLine($"  {sign} {what}  ({key})");
        }

        if (difference.Same)
            output.WriteLine("nothing differs");
    }
}

/// <param name="Sign"><c>+</c>: the new configuration has it, <c>-</c>: the old one had it, <c>~</c>: it differs.</param>
/// <param name="What">An entry, or a sentence.</param>
/// <param name="Key">Where it is written; an entry of a preset names the preset.</param>
internal sealed record PolicyChange(string Sign, string What, string Key);

/// <param name="Allowed">What may leave that might not, or not without an answer, or without being looked into.</param>
/// <param name="Blocked">What may not leave that might, or not so.</param>
/// <param name="Changed">What decides by whom, by which way or with what something leaves.</param>
/// <param name="Other">What is written otherwise, and lets out what the rest of its configuration lets out anyway.</param>
internal sealed record PolicyDiff(IReadOnlyList<PolicyChange> Allowed, IReadOnlyList<PolicyChange> Blocked, IReadOnlyList<PolicyChange> Changed, IReadOnlyList<PolicyChange> Other)
{
    public bool Same => Allowed.Count + Blocked.Count + Changed.Count + Other.Count == 0;

    public static PolicyDiff Of(ProxySettings from, ProxySettings to)
    {
        var (allowed, blocked, changed, other) = (new List<PolicyChange>(), new List<PolicyChange>(), new List<PolicyChange>(), new List<PolicyChange>());
        var (before, after) = (from.AllowlistInForce, to.AllowlistInForce);
        if (before.ModeInForce != after.ModeInForce)
            (Strictness(after) < Strictness(before) ? allowed : Strictness(after) > Strictness(before) ? blocked : other).Add(new("~", $"{before.ModeInForce} becomes {after.ModeInForce}: {Meaning(after)}", "allowlist.mode"));
        if (before.NeedsPorts != after.NeedsPorts)
            (after.NeedsPorts ? blocked : allowed).Add(new("~", $"what is neither HTTP nor TLS needs {(after.NeedsPorts ? "an entry with its port" : "no entry with its port")}", "egress.mode"));
        if (before.AllowPrivate != after.AllowPrivate)
            (!before.Enforces && !after.Enforces ? other : after.AllowPrivate ? allowed : blocked).Add(new("~", $"names may {(after.AllowPrivate ? "" : "not ")}lead to private addresses", "allowlist.allow_private"));

        // Entries decide only where the configuration that they stand in enforces, and only beyond those that allow the same.
        var (had, has) = (Entries(before), Entries(after));
        foreach (var gone in had.Where(e => !has.Exists(h => h.IsAs(e))))
            (after.Enforces && before.Enforces && !has.Exists(h => h.Covers(gone)) ? blocked : other).Add(gone.Change("-"));
        foreach (var come in has.Where(e => !had.Exists(h => h.IsAs(e))))
            (after.Enforces && before.Enforces && !had.Exists(h => h.Covers(come)) ? allowed : other).Add(come.Change("+"));
        var (denied, denies) = (Denied(before), Denied(after));
        foreach (var gone in denied.Where(e => !denies.Exists(h => h.IsAs(e))))
            (denies.Exists(h => h.Covers(gone)) ? other : allowed).Add(gone.Change("-"));
        foreach (var come in denies.Where(e => !denied.Exists(h => h.IsAs(e))))
            (denied.Exists(h => h.Covers(come)) ? other : blocked).Add(come.Change("+"));
        PassageChanges.Add(from, to, tellsMode: before.NeedsPorts == after.NeedsPorts, allowed, blocked, changed);
        return new PolicyDiff(allowed, blocked, changed, other);
    }

    private static int Strictness(AllowlistOptions options) => options.ModeInForce switch { "enforce" => 2, "ask" => 1, _ => 0 };

    private static string Meaning(AllowlistOptions options) => options.ModeInForce switch
    {
        "enforce" => "what no entry allows is blocked",
        "ask" => "what no entry decides is asked",
        "learn" => "what no entry denies is allowed, and remembered",
        _ => "what no entry denies is allowed",
    };

    private static List<Entry> Entries(AllowlistOptions options) =>
    [
        .. options.Domains.Select(rule => new Entry(rule.ToString(), "allowlist.domains", Rule: rule, NeedsPorts: options.NeedsPorts)),
        .. options.Presets.Select(AllowlistPreset.Named).SelectMany(preset => preset.Domains.Select(rule => new Entry(rule.ToString(), $"allowlist.presets: {preset.Name}", Rule: rule, NeedsPorts: options.NeedsPorts))),
        .. options.Ips.Select(range => new Entry($"\"{range.Text}\"", "allowlist.ips", Range: range)),
    ];

    private static List<Entry> Denied(AllowlistOptions options) => [.. options.Deny.Select(rule => new Entry(rule.ToString(), "allowlist.deny", Rule: rule))];

    private sealed record Entry(string Text, string Key, DomainRule? Rule = null, Infrastructure.Hosts.IpRange? Range = null, bool NeedsPorts = false)
    {
        public bool IsAs(Entry other) => (Text, Key) == (other.Text, other.Key);

        public bool Covers(Entry other) => (Rule, other.Rule, Range, other.Range) switch
        {
            ({ } limit, { } rule, _, _) => AllowlistOptions.Covers(limit, rule, NeedsPorts),
            (_, _, { } limit, { } range) => AllowlistOptions.Covers(limit, range),
            _ => false,
        };

        public PolicyChange Change(string sign) => new(sign, Text, Key);
    }
}
