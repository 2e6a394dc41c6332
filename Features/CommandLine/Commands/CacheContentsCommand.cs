using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;
using Discobot.Features.Cache.Contents;

namespace Discobot.Features.CommandLine.Commands;

/// <summary><c>discobot cache list|show|evict</c>: what the running proxy has stored, and away with some of it.</summary>
internal static partial class CacheContentsCommand
{
    public static IEnumerable<Command> Create(Option<bool> json) => [List(json), Show(json), Evict(json)];

    private static Command List(Option<bool> json)
    {
        var api = new RunningApi();
        var pattern = new Argument<string?>("PATTERN")
        {
            Description = "Only addresses that match, as in 'registry.test/*' or '*/foo-*.tgz'; * also matches slashes.",
            Arity = ArgumentArity.ZeroOrOne,
        };
        var sort = new Option<string>("--sort") { Description = "used (last used first), size (largest first), age (oldest first), or key.", DefaultValueFactory = _ => "used" };
        sort.AcceptOnlyFromAmong("used", "size", "age", "key");
        var limit = new Option<int?>("--limit", "-n") { Description = "At most so many.", HelpName = "NUMBER" };
        var command = new Command("list", "Show what is stored: size, age, last use, rule, freshness, address.") { pattern, sort, limit, json };
        api.AddTo(command);
        command.SetAction((parsed, cancellation) => RunningApi.RunAsync(parsed, async () =>
        {
            var byKey = parsed.GetValue(sort) == "key";
            var query = $"/api/cache/entries?sort={(byKey ? "used" : parsed.GetValue(sort))}"
                + (parsed.GetValue(pattern) is { } glob ? $"&pattern={Uri.EscapeDataString(glob)}" : "")
                + (parsed.GetValue(limit) is { } most && !byKey ? string.Create(CultureInfo.InvariantCulture, $"&limit={most}") : "");
            var entries = api.StreamAsync(parsed, HttpMethod.Get, query, null, ContentsJson.Default.ListedEntry, cancellation);
            // Of the orders this one alone needs all keys at once; they are here then, and not in the proxy's memory.
            if (byKey)
                entries = entries.OrderBy(e => e.Key, StringComparer.Ordinal).Take(parsed.GetValue(limit) ?? int.MaxValue);
            await WriteAsync(parsed.InvocationConfiguration.Output, entries, parsed.GetValue(json));
            return ExitCode.Fine;
        }));
        return command;
    }

    private static Command Show(Option<bool> json)
    {
        var api = new RunningApi();
        var key = new Argument<string>("ADDRESS") { Description = "An address as list shows it, or the name of a file in the cache's directory." };
        var command = new Command("show", "Show what the origin said of one address. Secrets and signed queries are left out.") { key, json };
        api.AddTo(command);
        command.SetAction((parsed, cancellation) => RunningApi.RunAsync(parsed, async () =>
        {
            var found = await api.AskAsync(parsed, HttpMethod.Get, $"/api/cache/entry?key={Uri.EscapeDataString(parsed.GetRequiredValue(key))}",
                ContentsJson.Default.IReadOnlyListShownEntry, cancellation);
            await parsed.InvocationConfiguration.Output.WriteLineAsync(parsed.GetValue(json)
                ? JsonSerializer.Serialize(found, ContentsJson.Default.IReadOnlyListShownEntry)
                : string.Join("\n\n", found.Select(Describe)));
            return ExitCode.Fine;
        }));
        return command;
    }

    private static Command Evict(Option<bool> json)
    {
        var api = new RunningApi();
        var pattern = new Argument<string>("PATTERN") { Description = "A whole address, or several as in 'registry.test/v2/team/*'; * also matches slashes." };
        var dryRun = new Option<bool>("--dry-run") { Description = "Only tell how many would go." };
        var command = new Command("evict", "Remove what is stored of the addresses that match. Downloads under way are not disturbed.") { pattern, dryRun, json };
        api.AddTo(command);
        command.SetAction((parsed, cancellation) => RunningApi.RunAsync(parsed, async () =>
        {
            var query = $"/api/cache/entries?pattern={Uri.EscapeDataString(parsed.GetRequiredValue(pattern))}&dry_run={(parsed.GetValue(dryRun) ? "true" : "false")}";
            var evicted = await api.AskAsync(parsed, HttpMethod.Delete, query, ContentsJson.Default.EvictedEntries, cancellation);
            await parsed.InvocationConfiguration.Output.WriteLineAsync(parsed.GetValue(json)
                ? JsonSerializer.Serialize(evicted, ContentsJson.Default.EvictedEntries)
                : string.Create(CultureInfo.InvariantCulture, $"{evicted.Entries} {(evicted.Entries == 1 ? "entry" : "entries")}, {CacheCommand.Size(evicted.Bytes)}{(evicted.DryRun ? " would be" : "")} evicted."));
            return ExitCode.Fine;
        }));
        return command;
    }

    private static async Task WriteAsync(TextWriter output, IAsyncEnumerable<ListedEntry> entries, bool json)
    {
        // A terminal's lines are short: twelve digits tell digests apart for those who read. A pipe gets the whole address.
        var forPeople = ReferenceEquals(output, Console.Out) && !Console.IsOutputRedirected;
        var now = DateTimeOffset.UtcNow;
        var first = true;
        // The heading stands over an answer: where none comes, the error is all that is said.
        var heading = json ? "[" : Line("SIZE", "AGE", "USED", "FRESH", "RULE", "ADDRESS");
        await foreach (var e in entries)
        {
            if (first)
                await output.WriteAsync(heading);
            await output.WriteAsync(json
                ? (first ? "\n" : ",\n") + JsonSerializer.Serialize(e, ContentsJson.Default.ListedEntry)
                : Line(CacheCommand.Size(e.Size), Span(now - e.StoredAt), Span(now - e.UsedAt), Freshness(e), e.Rule, forPeople ? Digest().Replace(e.Key, "$1…") : e.Key));
            first = false;
        }

        if (first)
            await output.WriteAsync(heading);
        if (json)
            await output.WriteAsync("\n]\n");
    }

    private static string Line(string size, string age, string used, string fresh, string rule, string address) =>
        $"{size,11}  {age,5}  {used,5}  {fresh,-9}  {rule,-9}  {address}\n";

    private static string Freshness(ListedEntry e) => e.State switch
    {
        "fresh" => "for " + Span(TimeSpan.FromSeconds(e.FreshFor ?? 0)),
        _ => e.State,
    };

    private static string Describe(ShownEntry s) => string.Join('\n',
    [
        $"address  {s.Entry.Key}",
        $"file     {s.Entry.File}",
        string.Create(CultureInfo.InvariantCulture, $"body     {CacheCommand.Size(s.Entry.Size)}, sha256:{s.Sha256}{(s.Records > 1 ? $", shared by {s.Records} records" : "")}"),
        $"stored   {s.Entry.StoredAt:u}",
        $"used     {s.Entry.UsedAt:u}",
        $"rule     {s.Entry.Rule}, {Freshness(s.Entry)}",
        .. s.Entry.Vary is { } vary ? [$"vary     {vary}"] : Array.Empty<string>(),
        .. s.Entry.Private ? ["private  answers the credential that it was sent to"] : Array.Empty<string>(),
        string.Create(CultureInfo.InvariantCulture, $"status   {s.Status}"),
        .. s.Fields.Select(f => $"  {f.Name}: {f.Value}"),
    ]);

    // One number and its unit, rounded down: 59s, 59m, 23h, 9999d.
    private static string Span(TimeSpan span) => string.Create(CultureInfo.InvariantCulture, $"{span switch
    {
        { TotalSeconds: < 60 } => $"{Math.Max(0, (int)span.TotalSeconds)}s",
        { TotalMinutes: < 60 } => $"{(int)span.TotalMinutes}m",
        { TotalHours: < 48 } => $"{(int)span.TotalHours}h",
        _ => $"{(int)span.TotalDays}d",
    }}");

    [GeneratedRegex("([0-9a-f]{12})[0-9a-f]{52}", RegexOptions.CultureInvariant)]
    private static partial Regex Digest();
}
