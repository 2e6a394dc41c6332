using Discobot.Infrastructure;
using Discobot.Infrastructure.Wire;

namespace Discobot.Features.Allowlist.Asking;

/// <summary>One host that no rule decides about, and who waits for that. Guarded by the lock of <see cref="Approvals"/>.</summary>
/// <param name="id">By which it is answered.</param>
/// <param name="host">Whom it is about, in canonical form.</param>
/// <param name="port">Which port of it; 0: all of it.</param>
/// <param name="first">What asked first.</param>
/// <param name="now">When that was.</param>
internal sealed class Question(string id, string host, int port, EgressQuestion first, DateTimeOffset now)
{
    private const int MaxPathShown = 200;

    public string Id => id;

    public string Host => host;

    public int Port => port;

    public EgressQuestion First => first;

    public int Waiting { get; set; }

    public int Requests { get; set; }

    /// <summary>Without further requests it is forgotten then.</summary>
    public DateTimeOffset Expires { get; set; }

    /// <summary>The answer that allowed it once, whose leases those that waited hold.</summary>
    public Grant? Once { get; set; }

    /// <summary>What counts now.</summary>
    public TaskCompletionSource<(EgressVerdict Verdict, Grant? Grant)> Decided { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public OpenQuestion Report() => new(
        id, host, port == 0 ? null : port, now, Expires, Waiting, Requests, Shown(first.Method), first.Path is { } path ? Shown(path) : null,
        first.Client?.Program is { } program ? Shown(program.Program) : null, first.Client?.Program?.User, first.ClientName);

    // What a client chose ends up on a terminal, where somebody decides by it.
    private static string Shown(string text) => VisibleText.Of(text.Length > MaxPathShown ? text[..MaxPathShown] + "…" : text);
}

/// <summary>An element of what <c>GET /api/approvals</c> answers.</summary>
/// <param name="Id">By which it is answered.</param>
/// <param name="Host">Who is to be reached.</param>
/// <param name="Port">The port, for what is neither HTTP nor TLS; null: all that HTTP and TLS are spoken at.</param>
/// <param name="Asked">When it was asked first.</param>
/// <param name="Expires">When it is forgotten, should nobody ask again.</param>
/// <param name="Waiting">How many requests wait for the answer now.</param>
/// <param name="Requests">How many have asked.</param>
/// <param name="Method">Of the first; <c>CONNECT</c> for a tunnel, <c>DNS</c> for a question for a name.</param>
/// <param name="Path">Of the first, without query.</param>
/// <param name="Program">Whose the first is, where that is known.</param>
/// <param name="User">The same by number.</param>
/// <param name="Client">Who asks, of those whom the configuration names; the answer is for that client.</param>
internal sealed record OpenQuestion(
    string Id, string Host, int? Port, DateTimeOffset Asked, DateTimeOffset Expires, int Waiting, int Requests, string Method, string? Path, string? Program, uint? User, string? Client = null);
