using System.Collections.Immutable;
using Discobot.Infrastructure.Config;
using Discobot.Infrastructure.Hosts;

namespace Discobot.Features.Headers;

/// <summary>The <c>headers</c> section prebuilt for matching. Immutable: a reload makes a new one.</summary>
internal sealed class HeaderRules
{
    private readonly HostPatternSet<ActiveRule> _rules;

    /// <param name="options">The section.</param>
    /// <param name="files">Reads the secrets that lie in files; those of these rules are read beforehand.</param>
    public HeaderRules(HeaderOptions options, SecretFiles files)
    {
        _rules = new HostPatternSet<ActiveRule>(options.Rules.Select(r => KeyValuePair.Create(r.Host, new ActiveRule(r, files))));
        foreach (var (_, secret) in options.Secrets().Where(s => s.Value.Source == SecretSource.File))
        {
            ReadsFiles = true;
            files.Get(secret);
        }
    }

    /// <summary>Whether any rule has a value in a file.</summary>
    public bool ReadsFiles { get; }

    /// <summary>The one rule for a host: the most specific pattern's; null where none is.</summary>
    public ActiveRule? Find(in CanonicalHost host) => _rules.TryFind(host, out var rule) ? rule : null;
}

/// <summary>A rule with its values at hand.</summary>
internal sealed class ActiveRule(HeaderRule rule, SecretFiles files)
{
    private readonly SecretText[] _inFiles =
    [
        .. rule.Set.Concat(rule.Append).Select(v => v.Value).Concat(rule.Conditions.Select(c => c.EqualTo))
            .Where(s => s.Source == SecretSource.File).Distinct(),
    ];

    private int _told;

    public string Pattern => rule.Host.Text;

    public bool AllowPlaintext => rule.AllowPlaintext;

    public ImmutableArray<ActiveValue> Set { get; } = [.. rule.Set.Select(v => new ActiveValue(v.Name, v.Value, files))];

    public ImmutableArray<ActiveValue> Append { get; } = [.. rule.Append.Select(v => new ActiveValue(v.Name, v.Value, files))];

    /// <summary>The names that the conditions look at.</summary>
    public IEnumerable<string> Conditions => rule.Conditions.Select(c => c.Header);

    /// <summary>Whether all conditions hold on the request as the client sent it.</summary>
    public bool Applies(IHeaderDictionary sent)
    {
        foreach (var condition in rule.Conditions)
        {
            var expected = files.Get(condition.EqualTo);
            if (expected.Problem is not null || !sent[condition.Header].Contains(expected.Value, StringComparer.Ordinal))
                return false;
        }

        return true;
    }

    /// <summary>Why no request can fulfil the conditions now; null where one can.</summary>
    public string? WhyNeverApplies() => rule.Conditions
        .Select(c => files.Get(c.EqualTo).Problem is { } problem ? $"the condition on {c.Header} has no value: {problem}" : null)
        .FirstOrDefault(problem => problem is not null);

    /// <summary>Waits until the values that lie in files are those of now.</summary>
    public async ValueTask RefreshAsync(CancellationToken cancellation)
    {
        foreach (var secret in _inFiles)
            await files.RefreshAsync(secret, cancellation);
    }

    /// <summary>True the first time: what concerns every request is logged once per load of the rules.</summary>
    public bool TellOnce() => Interlocked.Exchange(ref _told, 1) == 0;
}

/// <summary>A header's name and its value, which a file may change under us.</summary>
internal sealed class ActiveValue(string name, SecretText secret, SecretFiles files)
{
    private volatile Reading? _last;

    public string Name => name;

    /// <summary>Why there is no value now; null where there is one. Asking is no reading: the log is still told.</summary>
    public string? Problem => ProblemOf(files.Get(secret));

    /// <summary>The value now, or the reason there is none: both never logged, the reason logged.</summary>
    public Reading Read()
    {
        var last = _last;
        if (last is not null && secret.Source != SecretSource.File)
            return last;
        var held = files.Get(secret);
        if (last is not null && ReferenceEquals(last.Held, held))
            return last;
        var problem = ProblemOf(held);
        var reading = new Reading(held, problem, problem is not null && problem != last?.Problem);
        var told = reading with { IsNews = false };
        // Of requests that find it out at the same time, one tells.
        return Interlocked.CompareExchange(ref _last, told, last) == last ? reading : told;
    }

    private string? ProblemOf(SecretReading held) => held.Problem ?? secret.HeaderProblem(held.Value);

    /// <param name="Held">What was read.</param>
    /// <param name="Problem">Fit for a log line, or null.</param>
    /// <param name="IsNews">Nobody was told of the problem so far.</param>
    internal sealed record Reading(SecretReading Held, string? Problem, bool IsNews)
    {
        /// <summary>Empty when there is a problem.</summary>
        public string Value => Problem is null ? Held.Value : "";

        // A record prints its members; this one holds a secret.
        public override string ToString() => Problem ?? "***";
    }
}
