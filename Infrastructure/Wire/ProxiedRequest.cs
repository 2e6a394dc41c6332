using Microsoft.AspNetCore.Http.Features;

namespace Discobot.Infrastructure.Wire;

/// <summary>One request through the proxy, as every stage of the pipeline sees it: a feature of its <see cref="HttpContext"/>.</summary>
internal sealed class ProxiedRequest
{
    /// <summary>How addresses are made whose path bytes stay as the client sent them.</summary>
    public static readonly UriCreationOptions AsSent = new() { DangerousDisablePathAndQueryCanonicalization = true };

    private Uri? _uri;
    private string? _sent;

    /// <summary>Unique in this process and start; told to the client in error bodies and to the user in logs.</summary>
    public required string Id { get; init; }

    /// <summary>Where the request goes, verified against CONNECT target and SNI.</summary>
    public required ConnectTarget Target { get; init; }

    /// <summary><c>http</c> or <c>https</c>: the scheme upstream.</summary>
    public required string Scheme { get; init; }

    /// <summary>Path and query byte for byte as the client sent them (<c>%2F</c> stays <c>%2F</c>); begins with <c>/</c> or is <c>*</c>.</summary>
    public required string PathAndQuery { get; init; }

    /// <summary><see cref="PathAndQuery"/> up to the question mark: what logs, rules and cache keys use.</summary>
    public string Path => PathAndQuery.IndexOf('?', StringComparison.Ordinal) is var i and >= 0 ? PathAndQuery[..i] : PathAndQuery;

    /// <summary>The host as part of cache keys: without the scheme's default port.</summary>
    public string Authority => Target.Port == (Scheme == "https" ? 443 : 80) ? Bracketed : Target.ToString();

    /// <summary>The absolute address, path bytes kept.</summary>
    public Uri Uri => _uri ??= UriOf(PathAndQuery);

    /// <summary>What is asked for upstream: <see cref="PathAndQuery"/>, but for credentials in its query, which nobody else may see.</summary>
    public string Sent => _sent ?? PathAndQuery;

    /// <summary><see cref="Sent"/> as an absolute address.</summary>
    public Uri SentUri => _sent is null ? Uri : UriOf(_sent);

    /// <summary>Whether the query holds a credential: then nothing of the address is kept, and no record answers it.</summary>
    public bool HoldsCredential => _sent is not null;

    /// <summary>Whose it is, by name; null: nobody's who has one.</summary>
    public string? Client { get; set; }

    /// <summary>What takes the place of each placeholder, as it was when the request was judged: whoever sends it later sends what was judged. Null: it carries none.</summary>
    public Dictionary<string, string>? Replacements { get; set; }

    /// <summary>Has credentials sent in the query.</summary>
    public void Send(string pathAndQuery) => _sent = pathAndQuery;

    private Uri UriOf(string pathAndQuery) => new($"{Scheme}://{Authority}{(pathAndQuery == "*" ? "" : pathAndQuery)}", AsSent);

    private string Bracketed => Target.Host.Contains(':', StringComparison.Ordinal) ? $"[{Target.Host}]" : Target.Host;

    /// <summary>The proxied request of <paramref name="context"/>. Only valid behind the interception stage.</summary>
    public static ProxiedRequest Of(HttpContext context) => context.Features.GetRequiredFeature<ProxiedRequest>();
}
