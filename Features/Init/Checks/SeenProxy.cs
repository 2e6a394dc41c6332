using System.Text.Json;
using System.Text.Json.Serialization;

namespace Discobot.Features.Init.Checks;

/// <summary>The proxy that the doctor looks at, and what is fetched through it.</summary>
/// <param name="State">Where it is and what it keeps where.</param>
/// <param name="IsContainers">Whether it is this container's own: elsewhere no start has left anything behind.</param>
/// <param name="Url">What is fetched.</param>
/// <param name="UrlIsNamed">Whether the caller chose it; the usual one may well be refused by a good allowlist.</param>
internal sealed record SeenProxy(ProxyState State, bool IsContainers, string Url, bool UrlIsNamed)
{
    /// <summary>Whether this container's start is one of ours that has told nothing, so that it is not known which proxy it has.</summary>
    public bool IsUntold { get; init; }

    public string Address => $"http://localhost:{State.Port}";

    /// <summary>What is said when the proxy has to be looked at more closely.</summary>
    public string ReadLog => State.LogFile is { } file ? $"read the proxy's log, {file}"
        : IsContainers ? "read the proxy's lines in `docker logs`" : "read the proxy's log";

    public string Restart => IsContainers ? Doctor.Restart : "start it with `discobot proxy`, or name the one that is meant with --config or --api";

    /// <summary>What makes clients trust the authority in the file where the proxy goes on with another.</summary>
    public string TakeNewAuthority => IsContainers
        ? "restart the container: its proxy takes the authority of the file, and its start makes it trusted"
        : $"restart the proxy, and then: {Trust}";

    /// <summary>What makes the system trust its authority.</summary>
    public string Trust => IsContainers ? "discobot trust install" : $"discobot trust install --cert-dir {State.CertDir}";

    /// <summary>Whether the page is this machine's own: such pages clients fetch without a proxy, wherever they are told of one.</summary>
    public bool IsLocal => ProxyEnvironment.Local.Split(',').Contains(new Uri(Url).DnsSafeHost);
}

/// <summary>What the machine says of the proxy's authority.</summary>
/// <param name="Trusted">Whether the authority that the proxy signs with is trusted by the system.</param>
/// <param name="Message">One line about it.</param>
/// <param name="Bundle">The system's authorities.</param>
/// <param name="File">Where the authority's certificate is.</param>
/// <param name="Found">Where the authority was found.</param>
/// <param name="Holds">Whether a file of certificates holds the proxy's.</param>
internal sealed record SeenTrust(bool Trusted, string Message, string? Bundle, string File, AuthorityPlace Found, Func<string, bool> Holds)
{
    /// <summary>Whether the file holds another authority than the proxy signs with.</summary>
    public bool IsRotated => Found == AuthorityPlace.ServedAndOther;

    /// <summary>What makes the system trust the authority.</summary>
    public string HowToMend(SeenProxy proxy) => Found switch
    {
        AuthorityPlace.ServedAndOther => proxy.TakeNewAuthority,
        AuthorityPlace.Nowhere => proxy.Restart,
        AuthorityPlace.Served => $"as root, or as the user whose {proxy.State.CertDir} is: {proxy.Trust}",
        _ => proxy.Trust,
    };
}

/// <summary>Where the proxy's authority was found.</summary>
internal enum AuthorityPlace
{
    /// <summary>The proxy shows it, and its file holds the same.</summary>
    ServedAndKept,

    /// <summary>The proxy shows it, and its file holds another.</summary>
    ServedAndOther,

    /// <summary>The proxy shows it; its file is not here, or not for this user.</summary>
    Served,

    /// <summary>No proxy shows one; the file holds it.</summary>
    Kept,

    /// <summary>Nowhere.</summary>
    Nowhere,
}

/// <summary>A refusal of the proxy's own as it writes it.</summary>
/// <param name="Error">Its code.</param>
/// <param name="Reason">In a sentence.</param>
/// <param name="Rule">The rule of the allowlist that decided.</param>
internal sealed record OwnAnswer(string? Error, string? Reason, string? Rule = null);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(OwnAnswer))]
internal sealed partial class OwnAnswerJson : JsonSerializerContext;
