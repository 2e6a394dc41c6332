using System.Net;

namespace Discobot.Infrastructure.Wire;

/// <summary>Decides what may leave. One implementation is the allowlist; the wire asks it at each stage of a request.</summary>
internal interface IEgressPolicy
{
    /// <summary>Judges a tunnel (CONNECT, SOCKS5) by its target alone, before any name is resolved.</summary>
    EgressVerdict JudgeTunnel(ConnectTarget target);

    /// <summary>Judges a tunnel whose contents nobody will look at: rules that need a method or a path cannot allow it.</summary>
    EgressVerdict JudgeBlindTunnel(ConnectTarget target);

    /// <summary>Judges a tunnel in which something else than HTTP or TLS was begun, or whose client waits for its server.</summary>
    EgressVerdict JudgeRawTunnel(ConnectTarget target) => JudgeBlindTunnel(target);

    /// <summary>Judges one request, whose method and path are known.</summary>
    /// <param name="target">Host and port of the request.</param>
    /// <param name="method">As sent, upper case for the standard methods.</param>
    /// <param name="path">The path as sent, percent-encoding kept, without query.</param>
    EgressVerdict JudgeRequest(ConnectTarget target, string method, string path);

    /// <summary>Judges an address that <paramref name="target"/> resolved to, directly before that very address is dialled.</summary>
    EgressVerdict JudgeAddress(ConnectTarget target, IPAddress address);
}

/// <summary>The answer of an <see cref="IEgressPolicy"/>.</summary>
/// <param name="Allowed">Whether it may leave.</param>
/// <param name="Rule">The rule that decided, as the user wrote it, or a word such as <c>default</c>.</param>
/// <param name="Reason">For refusals: one sentence that tells the user which entry would allow it.</param>
internal readonly record struct EgressVerdict(bool Allowed, string Rule, string Reason)
{
    public static EgressVerdict Allow(string rule) => new(true, rule, "");

    public static EgressVerdict Refuse(string rule, string reason) => new(false, rule, reason);
}
