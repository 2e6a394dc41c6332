using System.Net;
using Discobot.Infrastructure;
using Discobot.Infrastructure.Hosts;
using Discobot.Infrastructure.Wire;

namespace Discobot.Features.Egress.Dns;

/// <summary>
/// Answers the container's questions for names. One that no rule allows is never asked for outside: the question itself would carry data out. What
/// other servers say of a host is written anew, so that nothing of it but addresses, aliases and <see cref="ServiceBinding"/>s comes in. Records of
/// other types are passed on as they are where egress is not enforced, and where it is those of the types that the operator named.
/// </summary>
internal sealed partial class DnsResolver(
    IEgressPolicy policy, EgressMode mode, DnsOptions options, NameServers servers, LearnedNames learned, TimeProvider time, FlowRecorder flows, ILogger<DnsResolver> log)
    : IDnsAnswers
{
    /// <summary>Questions that are open outside or wait to be; all together fewer than <see cref="DnsServer"/> has open at once of one client.</summary>
    private const int MaxPending = 512;
    private const int MaxWaiting = 256;
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(8);

    /// <summary>Resolvers wait 5 s and ask again (resolv.conf(5)); the question stays open meanwhile.</summary>
    private static readonly TimeSpan AskLimit = TimeSpan.FromSeconds(4);

    /// <summary>By zone: one whose servers are silent holds up no other.</summary>
    private readonly SharedPlaces _pending = new(MaxPending, MaxWaiting);
    private readonly RememberedAnswers _remembered = new(time);

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
        if (await AnswerAsync(question, flow, cancellation) is not { } answer)
        {
            var (passed, code) = await PassOnAsync(question, isDatagram, cancellation);
            return End(flow, question, code, passed);
        }

        return End(flow, question, answer.Code, answer.Write(question, isDatagram ? question.MaxDatagram : ushort.MaxValue));
    }

    Task<byte[]?> IDnsAnswers.AnswerAsync(ReadOnlyMemory<byte> message, DnsParties parties, bool isDatagram, CancellationToken cancellation) =>
        AnswerAsync(message, isDatagram, parties.Client, cancellation);

    /// <summary>What the name servers say, whether or not it may be dialled. The caller has judged the name.</summary>
    public async Task<DnsAnswer> FindAsync(DnsQuestion question, CancellationToken cancellation)
    {
        if (_remembered.Recall(question) is { } known)
            return known;
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        limit.CancelAfter(Limit);
        try
        {
            using var place = await _pending.EnterAsync(NameZone.Of(question.Name), limit.Token);
            return place is null ? DnsAnswer.Failed : await _remembered.FindAsync(question, AskServersAsync).WaitAsync(limit.Token);
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

    /// <returns>Null for what is passed on as the servers say it.</returns>
    private async Task<DnsAnswer?> AnswerAsync(DnsQuestion question, Flow flow, CancellationToken cancellation)
    {
        if (IsLocalhost(question.Name))
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
        if (!LeadsToHost(question.Type))
            return IsPassedOn(question) ? null : DnsAnswer.Empty;
        var found = await FindAsync(question, cancellation);
        var answer = found with { Records = [.. found.Records.Where(r => IsPermitted(question.Name, r))] };
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

    // Only what has been judged: the question itself carries data.
    private bool IsPassedOn(DnsQuestion question) => mode != EgressMode.Enforce || (options.Types.Contains(question.Type) && question.IsHostName);

    // Where a connection goes: what is said of it is always written anew, whatever the mode and whatever is asked for besides.
    private static bool LeadsToHost(DnsType type) => type is DnsType.A or DnsType.Aaaa or DnsType.Cname or DnsType.Https or DnsType.Svcb;

    private async Task<(byte[] Message, DnsCode Code)> PassOnAsync(DnsQuestion question, bool isDatagram, CancellationToken cancellation)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        limit.CancelAfter(Limit);
        try
        {
            using var place = await _pending.EnterAsync(NameZone.Of(question.Name), limit.Token);
            if (place is not null && await servers.AskAsync(question, limit.Token) is { } message)
            {
                var most = isDatagram ? question.MaxDatagram : ushort.MaxValue;
                return (mode == EgressMode.Enforce ? DnsAnswer.Answers(message, question, most) : DnsAnswer.Repeat(message, question, most), (DnsCode)(message[3] & 0x0F));
            }
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            // Nobody answered in time.
        }

        return (DnsAnswer.Failed.Write(question, question.MaxDatagram), DnsCode.ServerFailure);
    }

    private static bool IsLocalhost(string name) => name == "localhost" || name.EndsWith(".localhost", StringComparison.Ordinal);

    // RFC 6761, 6.3: never asked for outside.
    private static DnsAnswer Localhost(DnsQuestion question) => question.Type switch
    {
        DnsType.A => new DnsAnswer(DnsCode.NoError, [new DnsRecord(question.Name, DnsType.A, 60, IPAddress.Loopback, null)]),
        DnsType.Aaaa => new DnsAnswer(DnsCode.NoError, [new DnsRecord(question.Name, DnsType.Aaaa, 60, IPAddress.IPv6Loopback, null)]),
        _ => DnsAnswer.Empty,
    };

    // A client would ask for a service's other name next, and where no rule allows that, in vain; without the record it goes on with its own.
    private bool IsPermitted(string name, DnsRecord record) =>
        record.Address is { } address ? policy.JudgeAddress(new ConnectTarget(name, ConnectTarget.AnyPort), address).Allowed
        : record.Service is not { Target: { Length: > 0 } target } || target == name || policy.JudgeTunnel(new ConnectTarget(target, ConnectTarget.AnyPort)).Allowed;

    private async Task<DnsAnswer?> AskServersAsync(DnsQuestion question)
    {
        using var limit = new CancellationTokenSource(Limit);
        try
        {
            return await servers.AskAsync(question, limit.Token) is { } message ? DnsAnswer.Read(message, question.Bytes.Length) : null;
        }
        catch (OperationCanceledException)
        {
            return null;
        }
    }

    [LoggerMessage(Level = LogLevel.Debug, Message = "dns {Type} {Name} {Code} {Id}")]
    private partial void LogAnswered(DnsType type, string name, DnsCode code, string id);
}
