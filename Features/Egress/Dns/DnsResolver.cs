using System.Net;
using Discobot.Infrastructure;
using Discobot.Infrastructure.Hosts;
using Discobot.Infrastructure.Wire;

namespace Discobot.Features.Egress.Dns;

/// <summary>
/// Answers the container's questions for addresses. A name that no rule allows is never asked for outside: the question itself would carry data
/// out. What other servers say is written anew, so that nothing of it but addresses and aliases comes in; only where egress is not enforced,
/// records of other types are passed on as they are.
/// </summary>
internal sealed partial class DnsResolver(
    IEgressPolicy policy, EgressMode mode, NameServers servers, LearnedNames learned, TimeProvider time, FlowRecorder flows, ILogger<DnsResolver> log)
    : IDnsAnswers
{
    /// <summary>Questions that are open outside or wait to be; all together fewer than <see cref="DnsServer"/> has open at once of one client.</summary>
    private const int MaxPending = 512;
    private const int MaxWaiting = 256;
    private const int MaxRemembered = 10_000;
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(8);

    /// <summary>Resolvers wait 5 s and ask again (resolv.conf(5)); the question stays open meanwhile.</summary>
    private static readonly TimeSpan AskLimit = TimeSpan.FromSeconds(4);

    /// <summary>By zone: one whose servers are silent holds up no other.</summary>
    private readonly SharedPlaces _pending = new(MaxPending, MaxWaiting);
    private readonly Lock _lock = new();
    private readonly Dictionary<(string, DnsType), (DnsAnswer Answer, DateTimeOffset Until)> _remembered = [];
    private readonly Dictionary<(string, DnsType), Task<DnsAnswer>> _asked = [];

    /// <summary>Answers one message.</summary>
    /// <param name="message">What the client sent.</param>
    /// <param name="isDatagram">Whether the answer has to fit into one.</param>
    /// <param name="client">Who asks.</param>
    /// <param name="cancellation">Ends the wait.</param>
    /// <returns>Null when it was no question: nobody waits for an answer.</returns>
    public async Task<byte[]?> AnswerAsync(ReadOnlyMemory<byte> message, bool isDatagram, EndPoint? client, CancellationToken cancellation)
    {
        if (!DnsQuestion.TryRead(message, out var question, out var error))
            return error is { } code ? DnsAnswer.Refuse(message.Span, code) : null;
        var flow = flows.Begin(new FlowClient(client) { Entry = "dns" });
        (flow.Method, flow.Host) = ($"{question!.Type}".ToUpperInvariant(), question.Name);
        flow.RequestBytes = message.Length;
        if (IsPassedOn(question))
        {
            var (passed, code) = await PassOnAsync(question, isDatagram, cancellation);
            return End(flow, question, code, passed);
        }

        var answer = await AnswerAsync(question, flow, cancellation);
        return End(flow, question, answer.Code, answer.Write(question, isDatagram ? question.MaxDatagram : ushort.MaxValue));
    }

    Task<byte[]?> IDnsAnswers.AnswerAsync(ReadOnlyMemory<byte> message, DnsParties parties, bool isDatagram, CancellationToken cancellation) =>
        AnswerAsync(message, isDatagram, parties.Client, cancellation);

    /// <summary>What the name servers say, whether or not it may be dialled. The caller has judged the name.</summary>
    public async Task<DnsAnswer> FindAsync(DnsQuestion question, CancellationToken cancellation)
    {
        if (Recall((question.Name, question.Type)) is { } known)
            return known;
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        limit.CancelAfter(Limit);
        try
        {
            using var place = await _pending.EnterAsync(NameZone.Of(question.Name), limit.Token);
            return place is null ? DnsAnswer.Failed : await FindOnceAsync(question).WaitAsync(limit.Token);
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            return DnsAnswer.Failed;
        }
    }

    private byte[] End(Flow flow, DnsQuestion question, DnsCode code, byte[] answer)
    {
        flow.ResponseBytes = answer.Length;
        flow.Error = code == DnsCode.NoError ? null : $"{code}";
        LogAnswered(question.Type, question.Name, code, flow.Id);
        flows.End(flow);
        return answer;
    }

    private async Task<DnsAnswer> AnswerAsync(DnsQuestion question, Flow flow, CancellationToken cancellation)
    {
        if (question.Name == "localhost" || question.Name.EndsWith(".localhost", StringComparison.Ordinal))
            return Localhost(question);
        var verdict = !question.IsHostName && mode == EgressMode.Enforce
            ? EgressVerdict.Refuse("egress.mode", "It is no host name.") : policy.JudgeTunnel(new ConnectTarget(question.Name, ConnectTarget.AnyPort));
        if (verdict.Asks is not null)
        {
            if (await AskAsync(verdict, question, flow, cancellation) is not { } answered)
                return DnsAnswer.Failed;
            verdict = answered;
        }

        flow.Decide(verdict);
        if (!verdict.Allowed)
            return DnsAnswer.NoSuchName;
        if (question.Type is not (DnsType.A or DnsType.Aaaa or DnsType.Cname))
            return DnsAnswer.Empty;
        var found = await FindAsync(question, cancellation);
        var answer = found with { Records = [.. found.Records.Where(r => r.Address is null || IsPermitted(question.Name, r.Address))] };
        // Of what was found before as well: several names may have one address, and the client goes there by this one.
        learned.Remember(question.Name, answer);
        return answer;
    }

    /// <returns>Null when there is no answer yet: "failed" is what resolvers ask again about, and "no such name" what they remember.</returns>
    private async Task<EgressVerdict?> AskAsync(EgressVerdict verdict, DnsQuestion question, Flow flow, CancellationToken cancellation)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        limit.CancelAfter(AskLimit);
        try
        {
            var approval = await policy.AskAsync(verdict, new EgressQuestion(new ConnectTarget(question.Name, ConnectTarget.AnyPort), flow.Client, "DNS"), limit.Token);
            // The connection for which the name was asked is still to come.
            _ = Task.Delay(Limit, time, CancellationToken.None).ContinueWith(_ => approval.Dispose(), CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
            return approval.Verdict;
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            flow.Decide(verdict);
            return null;
        }
    }

    // HTTPS and SVCB records lead to QUIC and to hidden server names: who gets none goes on with addresses (RFC 9460, 3).
    private bool IsPassedOn(DnsQuestion question) => mode != EgressMode.Enforce
        && question.Type is not (DnsType.A or DnsType.Aaaa or DnsType.Cname or DnsType.Https or DnsType.Svcb)
        && policy.JudgeTunnel(new ConnectTarget(question.Name, ConnectTarget.AnyPort)).Allowed;

    private async Task<(byte[] Message, DnsCode Code)> PassOnAsync(DnsQuestion question, bool isDatagram, CancellationToken cancellation)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        limit.CancelAfter(Limit);
        try
        {
            using var place = await _pending.EnterAsync(NameZone.Of(question.Name), limit.Token);
            if (place is not null && await servers.AskAsync(question, limit.Token) is { } message)
                return (DnsAnswer.Repeat(message, question, isDatagram ? question.MaxDatagram : ushort.MaxValue), (DnsCode)(message[3] & 0x0F));
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            // Nobody answered in time.
        }

        return (DnsAnswer.Failed.Write(question, question.MaxDatagram), DnsCode.ServerFailure);
    }

    // RFC 6761, 6.3: never asked for outside.
    private static DnsAnswer Localhost(DnsQuestion question) => question.Type switch
    {
        DnsType.A => new DnsAnswer(DnsCode.NoError, [new DnsRecord(question.Name, DnsType.A, 60, IPAddress.Loopback, null)]),
        DnsType.Aaaa => new DnsAnswer(DnsCode.NoError, [new DnsRecord(question.Name, DnsType.Aaaa, 60, IPAddress.IPv6Loopback, null)]),
        _ => DnsAnswer.Empty,
    };

    private bool IsPermitted(string name, IPAddress address) => policy.JudgeAddress(new ConnectTarget(name, ConnectTarget.AnyPort), address).Allowed;

    // One question outside for all who ask the same at the same time.
    private Task<DnsAnswer> FindOnceAsync(DnsQuestion question)
    {
        var key = (question.Name, question.Type);
        lock (_lock)
        {
            // It may have come while this one waited for its place.
            if (Recall(key) is { } known)
                return Task.FromResult(known);
            if (!_asked.TryGetValue(key, out var asked))
                _asked[key] = asked = Task.Run(() => AskAsync(key, question));
            return asked;
        }
    }

    private DnsAnswer? Recall((string Name, DnsType) key)
    {
        lock (_lock)
        {
            return _remembered.TryGetValue(key, out var found) && found.Until - time.GetUtcNow() is var left && left > TimeSpan.Zero
                ? found.Answer.AgedBy(found.Answer.Lifetime - left) : null;
        }
    }

    private async Task<DnsAnswer> AskAsync((string, DnsType) key, DnsQuestion question)
    {
        var answer = DnsAnswer.Failed;
        try
        {
            using var limit = new CancellationTokenSource(Limit);
            if (await servers.AskAsync(question, limit.Token) is { } message)
                answer = DnsAnswer.Read(message, question.Bytes.Length) ?? DnsAnswer.Failed;
        }
        catch (OperationCanceledException)
        {
            // Nobody answered in time.
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

    [LoggerMessage(Level = LogLevel.Debug, Message = "dns {Type} {Name} {Code} {Id}")]
    private partial void LogAnswered(DnsType type, string name, DnsCode code, string id);
}
