namespace Discobot.Infrastructure.Wire.Dialling;

/// <summary>Which parent proxy leads to a host, if any. Immutable: fixed when the process starts.</summary>
/// <param name="http">For plain HTTP.</param>
/// <param name="https">For TLS, and for tunnels of whatever kind.</param>
/// <param name="exceptions">Hosts that are reached directly all the same.</param>
internal sealed class ParentProxies(ParentAddress? http, ParentAddress? https, ProxyExceptions exceptions)
{
    /// <summary>Everything is reached directly.</summary>
    public static ParentProxies None { get; } = new(null, null, ProxyExceptions.Parse(""));

    public bool Any => http is not null || https is not null;

    /// <param name="scheme"><c>http</c> or <c>ws</c>; anything else counts as <c>https</c>.</param>
    /// <param name="target">The host to reach.</param>
    /// <returns>Null: directly.</returns>
    public ParentAddress? For(string scheme, ConnectTarget target) =>
        (scheme is "http" or "ws" ? http : https) is { } parent && !exceptions.Contains(target) ? parent : null;

    /// <summary>The parent that gets a request in absolute-form instead of a tunnel: an HTTP proxy, for plain HTTP.</summary>
    public ParentAddress? ForwarderOf(string scheme, ConnectTarget target) =>
        scheme == Uri.UriSchemeHttp && For(scheme, target) is { Kind: ParentKind.Http } parent ? parent : null;

    /// <summary>For the log: without credentials.</summary>
    public override string ToString() => http == https ? $"{http}" : $"http={http?.ToString() ?? "direct"} https={https?.ToString() ?? "direct"}";

    /// <summary>The host and port of an absolute address.</summary>
    public static ConnectTarget TargetOf(Uri address) => new(ConnectTarget.Normalize(address.IdnHost), address.Port);
}
