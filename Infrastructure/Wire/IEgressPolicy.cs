using System.Net;

namespace Discobot.Infrastructure.Wire;

/// <summary>Decides what may leave. One implementation is the allowlist; the wire asks it at each stage of a request.</summary>
internal interface IEgressPolicy
{
    /// <summary>Judges a tunnel (CONNECT, SOCKS5) by its target alone, before any name is resolved.</summary>
    /// <param name="target">Where it leads.</param>
    /// <param name="client">Who opens it, by name; null: nobody who has one. <see cref="ProxyUsers.Anyone"/>: it may be anybody.</param>
    EgressVerdict JudgeTunnel(ConnectTarget target, string? client = null);

    /// <summary>Judges a tunnel whose contents nobody will look at: rules that need a method or a path cannot allow it.</summary>
    EgressVerdict JudgeBlindTunnel(ConnectTarget target, string? client = null);

    /// <summary>Judges a tunnel in which something else than HTTP or TLS was begun, or whose client waits for its server.</summary>
    EgressVerdict JudgeRawTunnel(ConnectTarget target, string? client = null) => JudgeBlindTunnel(target, client);

    /// <summary>Whether such a tunnel would pass, asked without anybody having opened one: it is not counted.</summary>
    bool WouldPassRaw(ConnectTarget target, string? client = null) => JudgeRawTunnel(target, client).Allowed;

    /// <summary>Judges one request, whose method and path are known.</summary>
    /// <param name="target">Host and port of the request.</param>
    /// <param name="method">As sent, upper case for the standard methods.</param>
    /// <param name="pathAndQuery">Both as sent, percent-encoding kept.</param>
    /// <param name="client">As for a tunnel.</param>
    EgressVerdict JudgeRequest(ConnectTarget target, string method, string pathAndQuery, string? client = null);

    /// <summary>Judges an address that <paramref name="target"/> resolved to, directly before that very address is dialled, for whomever: who may go there was judged.</summary>
    EgressVerdict JudgeAddress(ConnectTarget target, IPAddress address);

    /// <summary>Asks whoever watches about what no rule decides, and waits for the answer; at once where <see cref="EgressVerdict.Asks"/> is null.</summary>
    /// <param name="refusal">What the policy said.</param>
    /// <param name="question">What is told of it.</param>
    /// <param name="cancellation">The client is gone.</param>
    /// <returns>
    /// An allowance: the rules have changed by it, and what is begun now is judged and allowed as anything else is. Else a refusal that says who refused it,
    /// or that nobody answered.
    /// </returns>
    ValueTask<Approval> AskAsync(EgressVerdict refusal, EgressQuestion question, CancellationToken cancellation) => ValueTask.FromResult(new Approval(refusal));
}

/// <summary>The answer of an <see cref="IEgressPolicy"/>.</summary>
/// <param name="Allowed">Whether it may leave.</param>
/// <param name="Rule">The rule that decided, as the user wrote it, or a word such as <c>default</c>.</param>
/// <param name="Reason">For refusals: one sentence that tells the user which entry would allow it.</param>
internal readonly record struct EgressVerdict(bool Allowed, string Rule, string Reason)
{
    /// <summary>For refusals that whoever watches may overrule: of the whole host when 0, else of this port of it. Null: a rule decided.</summary>
    public int? Asks { get; init; }

    public static EgressVerdict Allow(string rule) => new(true, rule, "");

    public static EgressVerdict Refuse(string rule, string reason) => new(false, rule, reason);
}

/// <summary>What whoever watches is told of a request that waits for them.</summary>
/// <param name="Target">Where it wants to go.</param>
/// <param name="Client">Whose it is.</param>
/// <param name="Method">Of an HTTP request; <c>DNS</c> for a question for a name, <c>CONNECT</c> for a tunnel.</param>
/// <param name="Path">Without query; null for what has none.</param>
/// <param name="Name">Who the client is, where each request says it.</param>
internal readonly record struct EgressQuestion(ConnectTarget Target, FlowClient? Client, string Method, string? Path = null, string? Name = null)
{
    /// <summary>Who the client is; null: nobody who has a name.</summary>
    public string? ClientName => Name ?? Client?.Name;
}

/// <summary>The answer to an <see cref="EgressQuestion"/>.</summary>
/// <param name="Verdict">What counts now.</param>
/// <param name="Lease">Held while what was allowed goes on; null where nothing ends with it.</param>
internal readonly record struct Approval(EgressVerdict Verdict, IDisposable? Lease = null) : IDisposable
{
    public void Dispose() => Lease?.Dispose();
}
