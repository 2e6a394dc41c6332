using System.Collections.Immutable;
using Discobot.Infrastructure.Config;
using Discobot.Infrastructure.Hosts;

namespace Discobot.Features.Headers;

/// <summary>The <c>headers</c> section prebuilt for matching. Immutable: a reload makes a new one.</summary>
internal sealed class HeaderRules
{
    private readonly HostPatternSet<ActiveRule> _rules;

    public HeaderRules(HeaderOptions options, TimeProvider? time = null) =>
        _rules = new HostPatternSet<ActiveRule>(
            options.Rules.Select(r => KeyValuePair.Create(r.Host, new ActiveRule(r, time ?? TimeProvider.System))));

    /// <summary>The one rule for a host: the most specific pattern's; null where none is.</summary>
    public ActiveRule? Find(in CanonicalHost host) => _rules.TryFind(host, out var rule) ? rule : null;
}

/// <summary>A rule with its values at hand.</summary>
internal sealed class ActiveRule(HeaderRule rule, TimeProvider time)
{
    private int _told;

    public string Pattern => rule.Host.Text;

    public bool AllowPlaintext => rule.AllowPlaintext;

    public ImmutableArray<ActiveValue> Set { get; } = [.. rule.Set.Select(v => new ActiveValue(v.Name, v.Value, time))];

    public ImmutableArray<ActiveValue> Append { get; } = [.. rule.Append.Select(v => new ActiveValue(v.Name, v.Value, time))];

    /// <summary>The names that the conditions look at.</summary>
    public IEnumerable<string> Conditions => rule.Conditions.Select(c => c.Header);

    /// <summary>Whether all conditions hold on the request as the client sent it.</summary>
    public bool Applies(IHeaderDictionary sent)
    {
        foreach (var condition in rule.Conditions)
        {
            if (!condition.EqualTo.TryResolve(out var expected) || !sent[condition.Header].Contains(expected, StringComparer.Ordinal))
                return false;
        }

        return true;
    }

    /// <summary>True the first time: what concerns every request is logged once per load of the rules.</summary>
    public bool TellOnce() => Interlocked.Exchange(ref _told, 1) == 0;
}

/// <summary>A header's name and its value, which a file may change under us.</summary>
internal sealed class ActiveValue(string name, SecretText secret, TimeProvider time)
{
    // Files are read again when used after this long: a rotated token is in force within a second, without a read per request.
    private static readonly TimeSpan FileLifetime = TimeSpan.FromSeconds(1);

    private volatile Reading? _last;

    public string Name => name;

    /// <summary>The value now, or the reason there is none: both never logged, the reason logged.</summary>
    public Reading Read()
    {
        var last = _last;
        if (last is not null && (secret.Source != SecretSource.File || time.GetElapsedTime(last.At) < FileLifetime))
            return last;
        var reading = Resolve(last);
        _last = reading;
        return reading;
    }

    private Reading Resolve(Reading? last)
    {
        var (value, problem) = secret.TryResolve(out var text) ? (text, null) : ("", text);
        if (problem is null && value.Length == 0)
            problem = $"{secret} is empty";
        // RFC 9110, 5.5: what ends a line would begin another header.
        else if (problem is null && value.Any(c => c is < ' ' and not '\t' or '\x7f' or > '\u00ff'))
            problem = $"{secret} holds line breaks or characters that no header may have";
        return new Reading(value, problem, time.GetTimestamp(), problem is not null && problem != last?.Problem);
    }

    /// <param name="Value">The value; empty when there is a problem.</param>
    /// <param name="Problem">Fit for a log line, or null.</param>
    /// <param name="At">When it was read.</param>
    /// <param name="IsNews">The problem was not there at the reading before.</param>
    internal sealed record Reading(string Value, string? Problem, long At, bool IsNews)
    {
        // A record prints its members; this one holds a secret.
        public override string ToString() => Problem ?? "***";
    }
}
