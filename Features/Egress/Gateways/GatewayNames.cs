using System.Net.Sockets;
using Discobot.Features.Egress.Dns;
using Discobot.Infrastructure.Wire;

namespace Discobot.Features.Egress.Gateways;

/// <summary>
/// Answers for clients that have no way out but us: every name is at our own address. One that no rule allows is as well, so that who connects is
/// told why; it is not asked for outside. One that is allowed has to exist.
/// </summary>
internal sealed class GatewayNames(
    IEgressPolicy policy, DnsResolver resolver, AskedNames asked, Gateway gateway, ParentProxies parents, FlowRecorder flows) : IDnsAnswers
{
    /// <summary>A gateway that is made anew may have another address.</summary>
    private const uint Seconds = 30;

    public async Task<byte[]?> AnswerAsync(ReadOnlyMemory<byte> message, DnsParties parties, bool isDatagram, CancellationToken cancellation)
    {
        if (!DnsQuestion.TryRead(message, out var question, out _) || !question!.IsHostName || IsOfTheClients(question.Name))
            return await resolver.AnswerAsync(message, isDatagram, parties.Client, cancellation);
        var target = new ConnectTarget(question.Name, ConnectTarget.AnyPort);
        var verdict = policy.JudgeTunnel(target);
        // A service's record could only lead to names and ports that are not served here.
        if (verdict.Allowed && question.Type is not (DnsType.A or DnsType.Aaaa or DnsType.Https or DnsType.Svcb))
            return await resolver.AnswerAsync(message, isDatagram, parties.Client, cancellation);
        var flow = flows.Begin(new FlowClient(parties.Client) { Entry = "dns" });
        (flow.Method, flow.Host, flow.RequestBytes) = ($"{question.Type}".ToUpperInvariant(), question.Name, message.Length);
        flow.Decide(verdict);
        var answer = verdict.Allowed && question.Type is (DnsType.A or DnsType.Aaaa) ? await AnswerAllowedAsync(question, target, parties, cancellation) : Own(question, parties);
        var written = answer.Write(question, isDatagram ? question.MaxDatagram : ushort.MaxValue);
        flow.ResponseBytes = written.Length;
        flow.Error = answer.Code == DnsCode.NoError ? null : $"{answer.Code}";
        flows.End(flow);
        return written;
    }

    private async Task<DnsAnswer> AnswerAllowedAsync(DnsQuestion question, ConnectTarget target, DnsParties parties, CancellationToken cancellation)
    {
        // A parent proxy looks names up itself, and perhaps nobody else can.
        if (parents.For(Uri.UriSchemeHttps, target) is null && await FindFaultAsync(question, cancellation) is { } fault)
            return fault;
        asked.Remember(parties.Client.Address, question.Name);
        return Own(question, parties);
    }

    // A client of IPv4 alone reaches a host of IPv6 alone through us, and the other way round.
    private async Task<DnsAnswer?> FindFaultAsync(DnsQuestion question, CancellationToken cancellation)
    {
        var found = await resolver.FindAsync(question, cancellation);
        if (found.Code == DnsCode.NoError && !found.Records.Any(r => r.Address is not null))
            found = await resolver.FindAsync(question.OfType(question.Type == DnsType.A ? DnsType.Aaaa : DnsType.A), cancellation);
        return found.Code != DnsCode.NoError ? new DnsAnswer(found.Code, []) : found.Records.Any(r => r.Address is not null) ? null : DnsAnswer.Empty;
    }

    private DnsAnswer Own(DnsQuestion question, DnsParties parties) => question.Type switch
    {
        DnsType.A => Own(question, parties, AddressFamily.InterNetwork),
        DnsType.Aaaa => Own(question, parties, AddressFamily.InterNetworkV6),
        _ => DnsAnswer.Empty,
    };

    private DnsAnswer Own(DnsQuestion question, DnsParties parties, AddressFamily family) => new(
        DnsCode.NoError, [.. gateway.AnswersOf(parties.Server, family).Select(address => new DnsRecord(question.Name, question.Type, Seconds, address, null))]);

    // RFC 6761, 6.3: each machine is its own localhost.
    private static bool IsOfTheClients(string name) => name == "localhost" || name.EndsWith(".localhost", StringComparison.Ordinal);
}
