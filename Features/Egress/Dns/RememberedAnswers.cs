namespace Discobot.Features.Egress.Dns;

/// <summary>Answers from outside, for as long as each may be kept. Who asks for the same at the same time shares one question. Bounded.</summary>
internal sealed class RememberedAnswers(TimeProvider time)
{
    private const int MaxRemembered = 10_000;

    private readonly Lock _lock = new();
    private readonly Dictionary<(string, DnsType), (DnsAnswer Answer, DateTimeOffset Until)> _remembered = [];
    private readonly Dictionary<(string, DnsType), Task<DnsAnswer>> _asked = [];

    /// <summary>What is known, as old as it is by now; null: it is to be asked for.</summary>
    public DnsAnswer? Recall(DnsQuestion question)
    {
        lock (_lock)
        {
            return _remembered.TryGetValue((question.Name, question.Type), out var found) && found.Until - time.GetUtcNow() is var left && left > TimeSpan.Zero
                ? found.Answer.AgedBy(found.Answer.Lifetime - left) : null;
        }
    }

    /// <summary>What is known, else what is asked for already, else what is asked for now.</summary>
    /// <param name="question">Whose answer is wanted.</param>
    /// <param name="ask">Asks for it; null when nobody answered. Ends by itself, whoever waits.</param>
    public Task<DnsAnswer> FindAsync(DnsQuestion question, Func<DnsQuestion, Task<DnsAnswer?>> ask)
    {
        var key = (question.Name, question.Type);
        lock (_lock)
        {
            if (Recall(question) is { } known)
                return Task.FromResult(known);
            if (!_asked.TryGetValue(key, out var asked))
                _asked[key] = asked = Task.Run(() => AskAsync(key, question, ask));
            return asked;
        }
    }

    private async Task<DnsAnswer> AskAsync((string, DnsType) key, DnsQuestion question, Func<DnsQuestion, Task<DnsAnswer?>> ask)
    {
        var answer = DnsAnswer.Failed;
        try
        {
            answer = await ask(question) ?? answer;
        }
        finally
        {
            Remember(key, answer);
        }

        return answer;
    }

    private void Remember((string Name, DnsType) key, DnsAnswer answer)
    {
        lock (_lock)
        {
            _asked.Remove(key);
            if (answer.Lifetime == TimeSpan.Zero)
                return;
            if (_remembered.Count >= MaxRemembered)
                Forget();
            _remembered[key] = (answer, time.GetUtcNow() + answer.Lifetime);
        }
    }

    // What is over goes first; should all be fresh, everything does: it is only memory.
    private void Forget()
    {
        var now = time.GetUtcNow();
        foreach (var (key, (_, until)) in _remembered)
        {
            if (until <= now)
                _remembered.Remove(key);
        }

        if (_remembered.Count >= MaxRemembered)
            _remembered.Clear();
    }
}
