using System.Security.Cryptography;
using Discobot.Infrastructure;
using Discobot.Infrastructure.Config;
using Discobot.Infrastructure.Hosts;
using Discobot.Infrastructure.Wire;

namespace Discobot.Features.Allowlist.Asking;

/// <summary>
/// Where the allowlist asks: the questions that are open, and the answers that count. It alone puts <see cref="AllowlistRules"/> in force, since those are made
/// of the settings and of the answers.
/// </summary>
internal sealed partial class Approvals : IDisposable
{
    /// <summary>More are refused at once: whoever watches could not answer them, and an agent could fill the memory.</summary>
    public const int MaxQuestions = 100;

    private const int MaxWaiting = 1000;
    private const int MaxGrants = 1000;

    // Held while rules are put in force, so that what is in force is of the last change; whoever judges takes no lock.
    private readonly Lock _gate = new();
    private readonly Dictionary<(string Host, int Port, string? Client), Question> _questions = [];
    private readonly List<Grant> _grants = [];
    private readonly Dictionary<string, int> _leases = [];
    private readonly Live<AllowlistRules> _rules;
    private readonly FlowRecorder _flows;
    private readonly TimeProvider _time;
    private readonly ILogger<Approvals> _log;
    private readonly ITimer _expiry;
    private AllowlistOptions _options;
    // Of this start alone: whoever read a number before a restart must not answer another question by it.
    private readonly string _start = RandomNumberGenerator.GetString("abcdefghijklmnopqrstuvwxyz", 2);
    private long _lastQuestion;
    private long _lastGrant;
    private bool _isClosed;

    public Approvals(AllowlistOptions options, Live<AllowlistRules> rules, FlowRecorder flows, TimeProvider time, ILogger<Approvals> log)
    {
        (_options, _rules, _flows, _time, _log) = (options, rules, flows, time, log);
        _expiry = time.CreateTimer(_ => Expire(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    /// <summary>A question has opened. Told under the lock: whoever hears of it notes it and returns.</summary>
    public event Action<OpenQuestion>? Asked;

    /// <summary>The questions that are open, the oldest first.</summary>
    public IReadOnlyList<OpenQuestion> Questions()
    {
        lock (_gate)
        {
            Forget();
            return [.. _questions.Values.Select(q => q.Report()).OrderBy(q => q.Asked)];
        }
    }

    /// <summary>The answers that count, the oldest first.</summary>
    public IReadOnlyList<Grant> Grants()
    {
        lock (_gate)
            return [.. _grants];
    }

    /// <summary>Other settings are in force. What waits is judged by them; without asking, no answer counts any more.</summary>
    public void Follow(AllowlistOptions options)
    {
        lock (_gate)
        {
            _options = options;
            if (!_options.Asks)
                _grants.Clear();
            Apply();
        }
    }

    /// <inheritdoc cref="IEgressPolicy.AskAsync"/>
    public async ValueTask<Approval> AskAsync(EgressVerdict refusal, EgressQuestion asked, CancellationToken cancellation)
    {
        if (refusal.Asks is not { } port || !CanonicalHost.TryParse(asked.Target.Host, out var host))
            return new Approval(refusal);
        Question question;
        TimeSpan patience;
        lock (_gate)
        {
            // Decided since it was judged.
            if (_grants.Find(g => g.Host == host.Name && g.Port == port && g.Client == asked.ClientName) is { } grant)
                return Result(refusal, (Verdict(grant), grant.Scope == GrantScope.Once ? Lease(grant) : grant));
            if (!IsAsking || Open(host.Name, port, asked) is not { } open)
                return new Approval(refusal with { Asks = null, Reason = $"{refusal.Reason} {(IsAsking ? $"{MaxQuestions} questions are open already, or {MaxWaiting} requests wait for this one, so nobody is asked." : "")}".TrimEnd() });
            (question, patience) = (open, _options.AskTimeout);
        }

        try
        {
            // Not on the thread that cancels, which may hold locks that whoever has ours waits for.
            return Result(refusal, await question.Decided.Task.WaitAsync(patience, _time, cancellation).ConfigureAwait(ConfigureAwaitOptions.ForceYielding));
        }
        catch (TimeoutException)
        {
            Leave(question);
            return new Approval(refusal with { Asks = null, Reason = Unanswered(refusal, question, patience) });
        }
        catch (OperationCanceledException)
        {
            Leave(question);
            throw;
        }
    }

    /// <summary>What would come of asking: a refusal that was given already, or the same verdict. Nobody is asked.</summary>
    public EgressVerdict Foresee(in EgressVerdict verdict, string host, string? client = null)
    {
        if (verdict.Asks is not { } port || !CanonicalHost.TryParse(host, out var canonical))
            return verdict;
        lock (_gate)
        {
            var refused = _grants.Find(g => !g.IsAllowed && g.Host == canonical.Name && g.Port == port && g.Client == client);
            return refused is null ? verdict : Result(verdict, (Verdict(refused), refused)).Verdict;
        }
    }

    /// <summary>Answers a question.</summary>
    /// <returns>The answer that counts now, or what is wrong; <c>IsOpen</c> is false when there is no such question.</returns>
    public (Grant? Grant, bool IsOpen, string? Problem) Decide(string id, Answer answer)
    {
        lock (_gate)
        {
            Forget();
            if (_questions.Values.FirstOrDefault(q => q.Id == id) is not { } question)
                return (null, false, $"no question {id} is open: it was answered, or nobody has asked for {Quantity.Format(_options.AskTimeout)}");
            if (answer.Scope == GrantScope.Once && question.Waiting == 0)
                return (null, true, $"nothing waits for {id} any more that could be allowed once: allow it for the session or for a time, or wait until it is asked again");
            if (_grants.Count >= MaxGrants)
                return (null, true, $"{MaxGrants} answers count already: revoke some, or write entries into the allowlist");
            var now = _time.GetUtcNow();
            var grant = new Grant(
                $"g{_start}{++_lastGrant}", question.Host, question.Port, answer.IsAllowed, answer.Scope, answer.Scope == GrantScope.Time ? now + answer.Time : null, answer.By, now, question.First.ClientName);
            if (grant.Scope == GrantScope.Once)
                (question.Once, _leases[grant.Id]) = (grant, question.Waiting);
            _questions.Remove((question.Host, question.Port, question.First.ClientName));
            _grants.Add(grant);
            Record(question, grant);
            Apply();
            question.Decided.SetResult((Verdict(grant), grant));
            return (grant, true, null);
        }
    }

    /// <summary>Takes an answer back. What goes on because of it ends.</summary>
    /// <returns>Null when none of that name counts.</returns>
    public Grant? Revoke(string id)
    {
        lock (_gate)
        {
            if (_grants.Find(g => g.Id == id) is not { } grant)
                return null;
            _grants.Remove(grant);
            LogRevoked(id, grant.Host);
            Apply();
            return grant;
        }
    }

    /// <summary>The proxy stops: nobody will answer any more, and nobody waits for it.</summary>
    public void Close()
    {
        lock (_gate)
        {
            _isClosed = true;
            foreach (var (_, question) in _questions)
                question.Decided.SetResult((EgressVerdict.Refuse(AllowlistRules.Default, $"{question.Host} was to be allowed by an answer, and the proxy has ended."), null));
            _questions.Clear();
        }
    }

    public void Dispose() => _expiry.Dispose();

    private bool IsAsking => !_isClosed && _options.Asks;

    private Approval Result(EgressVerdict refusal, (EgressVerdict Verdict, Grant? Grant) decided) =>
        decided.Verdict.Allowed
            ? new Approval(decided.Verdict, decided.Grant is { Scope: GrantScope.Once } once ? new OnceLease(this, once) : null)
            : new Approval(decided.Grant is { } grant ? decided.Verdict with { Reason = $"{refusal.Reason} {Capital(grant.Text)}." } : decided.Verdict);

    private static string Capital(string text) => char.ToUpperInvariant(text[0]) + text[1..];

    private static EgressVerdict Verdict(Grant grant) => grant.IsAllowed ? EgressVerdict.Allow(grant.Text) : EgressVerdict.Refuse(grant.Text, "");

    private static string Unanswered(in EgressVerdict refusal, Question question, TimeSpan patience) =>
        $"{refusal.Reason} It was asked for {Quantity.Format(patience)} as question {question.Id} and nobody answered: "
        + "try again, and let whoever watches allow it while it waits (discobot approve).";

    private Question? Open(string host, int port, in EgressQuestion asked)
    {
        Forget();
        var now = _time.GetUtcNow();
        var isNew = !_questions.TryGetValue((host, port, asked.ClientName), out var question);
        if (question is null)
        {
            if (_questions.Count >= MaxQuestions)
                return null;
            question = new Question($"q{_start}{++_lastQuestion}", host, port, asked, now);
            _questions.Add((host, port, asked.ClientName), question);
            LogAsked(question.Id, asked.Target, asked.Method);
        }

        if (question.Waiting >= MaxWaiting)
            return null;
        question.Waiting++;
        question.Requests++;
        question.Expires = now + _options.AskTimeout;
        if (isNew)
            Asked?.Invoke(question.Report());
        return question;
    }

    private void Leave(Question question)
    {
        lock (_gate)
        {
            question.Waiting--;
            if (question.Once is { } grant)
                Release(grant);
        }
    }

    private Grant Lease(Grant grant)
    {
        _leases[grant.Id]++;
        return grant;
    }

    private void Release(Grant grant)
    {
        lock (_gate)
        {
            if (!_leases.TryGetValue(grant.Id, out var held))
                return;
            if (held > 1)
            {
                _leases[grant.Id] = held - 1;
                return;
            }

            _leases.Remove(grant.Id);
            // What began meanwhile goes on: it was allowed.
            if (_grants.Remove(grant))
                Apply(quietly: true);
        }
    }

    private void Forget()
    {
        var now = _time.GetUtcNow();
        foreach (var (key, question) in _questions)
        {
            if (question.Waiting == 0 && question.Expires <= now)
                _questions.Remove(key);
        }
    }

    private void Expire()
    {
        lock (_gate)
        {
            var now = _time.GetUtcNow();
            if (_grants.RemoveAll(g => g.Until <= now) > 0)
                Apply();
            else
                AwaitExpiry();
        }
    }

    private void AwaitExpiry()
    {
        var next = _grants.Min(g => g.Until);
        // A timer takes 49 days at most.
        _expiry.Change(
            next is { } until ? TimeSpan.FromMilliseconds(Math.Clamp((until - _time.GetUtcNow()).TotalMilliseconds + 1, 1, TimeSpan.FromDays(1).TotalMilliseconds)) : Timeout.InfiniteTimeSpan,
            Timeout.InfiniteTimeSpan);
    }

    // Puts in force what is written and what was answered, and settles the questions that are none any more.
    private void Apply(bool quietly = false)
    {
        var rules = new AllowlistRules(_options, [.. _grants.Where(g => g.IsAllowed)]);
        if (quietly)
            _rules.ReplaceQuietly(rules);
        else
            _rules.Replace(rules);
        AwaitExpiry();
        foreach (var (key, question) in _questions)
        {
            var port = question.First.Target.Port is var first && first == ConnectTarget.AnyPort ? 443 : first;
            var verdict = key.Port == 0 ? rules.JudgeTunnel(new ConnectTarget(key.Host, port), key.Client) : rules.JudgeRawTunnel(new ConnectTarget(key.Host, key.Port), key.Client);
            if (!verdict.Allowed && verdict.Asks is not null)
                continue;
            _questions.Remove(key);
            question.Decided.SetResult((verdict, null));
        }
    }

    private void Record(Question question, Grant grant)
    {
        LogDecided(question.Id, question.Host, grant.Text);
        var flow = _flows.Begin(new FlowClient(null) { Entry = "approval", Name = grant.Client });
        (flow.Method, flow.Host, flow.Port) = (question.Id, question.Host, question.Port);
        flow.Decide(Verdict(grant));
        _flows.End(flow);
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "asking {Question} {Target} {Method}")]
    private partial void LogAsked(string question, ConnectTarget target, string method);

    [LoggerMessage(Level = LogLevel.Information, Message = "answered {Question} {Host} {Answer}")]
    private partial void LogDecided(string question, string host, string answer);

    [LoggerMessage(Level = LogLevel.Information, Message = "revoked {Grant} {Host}")]
    private partial void LogRevoked(string grant, string host);

    private sealed class OnceLease(Approvals owner, Grant grant) : IDisposable
    {
        private int _isOver;

        // On a thread of its own: whoever ends a tunnel holds that tunnel's lock, for which new rules wait that are put in force under ours.
        public void Dispose()
        {
            if (Interlocked.Exchange(ref _isOver, 1) == 0)
                ThreadPool.UnsafeQueueUserWorkItem(static lease => lease.End(), this, preferLocal: false);
        }

        private void End() => owner.Release(grant);
    }
}
