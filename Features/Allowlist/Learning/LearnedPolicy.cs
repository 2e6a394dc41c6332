using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace Discobot.Features.Allowlist.Learning;

/// <summary>
/// The smallest policy that would have allowed what was learned: a host's methods are never widened, its paths only where many
/// differ in one place, its name never (unless asked to join siblings).
/// </summary>
internal static class LearnedPolicy
{
    /// <summary>From so many names below one parent on, <c>*.parent</c> may stand for them.</summary>
    public const int MinSiblings = 4;

    /// <summary>The <c>allowlist</c> section as YAML.</summary>
    /// <param name="report">What was learned.</param>
    /// <param name="joinNames">Whether to write <c>*.example.com</c> for many names below example.com that need the same.</param>
    public static string ToYaml(LearnedReport report, bool joinNames = false)
    {
        var yaml = new StringBuilder();
        if (report.Incomplete)
            yaml.Append("# More passed than is remembered: this policy may be too narrow.\n");
        yaml.Append("allowlist:\n  enabled: true\n  mode: enforce\n");
        var entries = report.Hosts.SelectMany(AllEntries).ToList();
        if (joinNames)
            entries = JoinNames(entries);
        WriteList(yaml, "domains", entries.Select(e => e.ToYaml()));
        var literals = report.Hosts.Where(h => h.Literal && IsWhole(h)).Select(h => h.Host);
        WriteList(yaml, "ips", literals.Concat(report.Addresses).Distinct(StringComparer.Ordinal).Select(Quote));
        return yaml.ToString();
    }

    // Nobody looked inside, or nothing was asked: methods and paths are unknown.
    private static bool IsWhole(LearnedHost host) => host.Blind || (host.Methods.Count == 0 && host.Ports is null);

    private static IEnumerable<Entry> AllEntries(LearnedHost host)
        => host.Ports is { } ports ? Entries(host).Append(new Entry(host.Host, host.Literal, [], []) { Ports = ports }) : Entries(host);

    private static IEnumerable<Entry> Entries(LearnedHost host)
    {
        if (IsWhole(host))
            return host.Literal ? [] : [new Entry(host.Host, host.Literal, [], [])];
        var got = host.Methods.FirstOrDefault(m => m.Method == "GET");
        return host.Methods
            .Select(m => (Method: m.Method == "CONNECT" ? "GET" : m.Method, Paths: PathsOf(m, got)))
            .Where(m => m.Paths.Count > 0)
            .GroupBy(m => m.Method, (method, same) => (Method: method, Paths: Union(same.Select(s => s.Paths))))
            .GroupBy(m => string.Join('\n', m.Paths), m => m)
            .Select(same => new Entry(host.Host, host.Literal, [.. same.Select(m => m.Method).Order(StringComparer.Ordinal)],
                same.First().Paths));
    }

    // HEAD goes where GET goes, without being written.
    private static IReadOnlyList<string> PathsOf(LearnedMethod method, LearnedMethod? got) =>
        method.More ? ["*"]
        : method.Method == "HEAD" && got is not null
            ? (got.More ? [] : PathSummary.Of(method.Paths.Except(got.Paths, StringComparer.Ordinal)))
        : PathSummary.Of(method.Paths);

    private static List<string> Union(IEnumerable<IReadOnlyList<string>> lists)
    {
        var all = lists.SelectMany(l => l).Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal).ToList();
        return all.Contains("*") ? ["*"] : all;
    }

    // Joined only where all siblings need the very same, so that no name gains a method or a path; a parent has two labels at least.
    private static List<Entry> JoinNames(List<Entry> entries)
    {
        var joined = entries.Where(e => !e.Literal)
            .GroupBy(e => (Parent: e.Host[(e.Host.IndexOf('.', StringComparison.Ordinal) + 1)..], e.Needs))
            .Where(g => g.Key.Parent.Contains('.', StringComparison.Ordinal) && g.Count() >= MinSiblings)
            .ToDictionary(g => g.First(), g => (Entry: g.First() with { Host = "*." + g.Key.Parent }, Members: g.ToHashSet()));
        var gone = joined.Values.SelectMany(j => j.Members).ToHashSet();
        return [.. entries.Where(e => joined.ContainsKey(e) || !gone.Contains(e))
            .Select(e => joined.TryGetValue(e, out var j) ? j.Entry : e)];
    }

    private static void WriteList(StringBuilder yaml, string key, IEnumerable<string> items)
    {
        var lines = items.ToList();
        yaml.Append($"  {key}:{(lines.Count == 0 ? " []" : "")}\n");
        foreach (var line in lines)
            yaml.Append($"    - {line}\n");
    }

    // A JSON string is a YAML double-quoted scalar (YAML 1.2.2, 1.3).
    private static string Quote(string text) => $"\"{JsonEncodedText.Encode(text, JavaScriptEncoder.UnsafeRelaxedJsonEscaping)}\"";

    private sealed record Entry(string Host, bool Literal, IReadOnlyList<string> Methods, IReadOnlyList<string> Paths)
    {
        public IReadOnlyList<int> Ports { get; init; } = [];

        public string Needs => $"{string.Join(' ', Ports)}\n{string.Join(' ', Methods)}\n{string.Join('\n', Paths)}";

        public string ToYaml()
        {
            if (Ports.Count > 0)
                return $"{{host: {Quote(Host)}, ports: [{string.Join(", ", Ports)}]}}";
            if (Methods.Count == 0)
                return Quote(Host);
            var paths = Paths is ["*"] or ["/**"] ? "" : $", paths: [{string.Join(", ", Paths.Select(Quote))}]";
            return $"{{host: {Quote(Host)}, methods: [{string.Join(", ", Methods)}]{paths}}}";
        }
    }
}
