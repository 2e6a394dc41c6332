using Discobot.Infrastructure.Hosts;

namespace Discobot.Features.Allowlist.Asking;

/// <summary>How long an answer counts.</summary>
internal enum GrantScope
{
    /// <summary>While what waited for it goes on.</summary>
    Once,

    /// <summary>Until the proxy ends.</summary>
    Session,

    /// <summary>Until <see cref="Grant.Until"/>.</summary>
    Time,
}

/// <summary>An answer that counts.</summary>
/// <param name="Id">By which it is revoked.</param>
/// <param name="Host">For whom, in canonical form.</param>
/// <param name="Port">For this port of it; 0: for all of it.</param>
/// <param name="IsAllowed">Whether it may be reached.</param>
/// <param name="Scope">How long.</param>
/// <param name="Until">For <see cref="GrantScope.Time"/>.</param>
/// <param name="By">Who answered, as they said.</param>
/// <param name="At">When.</param>
/// <param name="Client">For this client, by name; null: for those who have none.</param>
internal sealed record Grant(string Id, string Host, int Port, bool IsAllowed, GrantScope Scope, DateTimeOffset? Until, string By, DateTimeOffset At, string? Client = null)
{
    /// <summary>The entry that it stands for.</summary>
    public DomainRule Entry { get; } = EntryOf(Host, Port, Client);

    /// <summary>As the rule that decided.</summary>
    public string Text => $"{(IsAllowed ? "granted" : "refused")} {Length} by {By} ({Id})";

    private string Length => Scope switch
    {
        GrantScope.Once => "once",
        GrantScope.Session => "for the session",
        _ => $"until {Until:yyyy-MM-ddTHH:mm:ssZ}",
    };

    /// <summary>The smallest entry that says as much.</summary>
    public static DomainRule EntryOf(string host, int port, string? client) => HostPattern.TryParse(host, out var pattern)
        ? new DomainRule(pattern, [], []) { Ports = port == 0 ? [] : [port], Clients = client is null ? [] : [client] }
        : throw new ArgumentException("no host", nameof(host));
}

/// <summary>What is to be done about a question.</summary>
/// <param name="IsAllowed">Whether.</param>
/// <param name="Scope">How long. Nothing is refused once: who was refused would ask again at once.</param>
/// <param name="Time">For <see cref="GrantScope.Time"/>.</param>
/// <param name="By">Who says so.</param>
internal readonly record struct Answer(bool IsAllowed, GrantScope Scope, TimeSpan Time, string By);
