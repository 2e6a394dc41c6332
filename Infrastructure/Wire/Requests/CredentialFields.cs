using System.Collections.Frozen;

namespace Discobot.Infrastructure.Wire.Requests;

/// <summary>Request fields that say who asks.</summary>
internal static class CredentialFields
{
    // What clients say of themselves, of the request, of the way, and of what they have already. Among them are what package clients send by themselves.
    private static readonly FrozenSet<string> Others = new[]
    {
        "Host", "User-Agent", "Connection", "Proxy-Connection", "Keep-Alive", "TE", "Trailer", "Transfer-Encoding", "Upgrade", "Upgrade-Insecure-Requests", "Expect",
        "Max-Forwards", "Content-Length", "Content-Type", "Accept", "Range", "Cache-Control", "Cache-Store", "Pragma", "Expires", "Date", "Referer", "Origin", "From", "DNT", "Priority",
        "Save-Data", "Device-Memory", "Downlink", "ECT", "RTT", "Want-Digest", "Want-Repr-Digest", "Want-Content-Digest", "Available-Dictionary", "Dictionary-ID",
        "Via", "Docker-Distribution-Api-Version", "X-Requested-With", "X-Request-Id", "X-Correlation-Id", "Traceparent", "Tracestate", "Baggage", "b3", "Uber-Trace-Id", "Sentry-Trace",
        "X-Amzn-Trace-Id", "X-Cloud-Trace-Context",
        "npm-auth-type", "npm-command", "npm-in-ci", "npm-scope", "npm-session", "pacote-integrity", "pacote-pkg-id", "pacote-req-type", "pacote-version",
        "cargo-protocol", "X-NuGet-Client-Version", "X-NuGet-Protocol-Version", "X-NuGet-Session-Id", "X-Gemfile-Source",
    }.ToFrozenSet(StringComparer.OrdinalIgnoreCase);

    private static readonly string[] Families = ["Accept-", "If-", "Sec-", "X-B3-", "X-Datadog-"];

    /// <summary>Those of HTTP, and what package registries take in their place.</summary>
    public static readonly string[] All = ["Authorization", "Cookie", "Private-Token", "Job-Token", "Deploy-Token", "X-JFrog-Art-Api", "X-Api-Key", "npm-otp"];

    /// <summary>Whether a field says by which address a server is reached, or whom a proxy speaks for: servers write their links by it, and let in whom it names.</summary>
    public static bool IsForwarded(string name) =>
        name.Equals("Forwarded", StringComparison.OrdinalIgnoreCase) || name.Equals("X-Real-IP", StringComparison.OrdinalIgnoreCase)
        || name.StartsWith("X-Forwarded-", StringComparison.OrdinalIgnoreCase) || name.StartsWith("X-Original-", StringComparison.OrdinalIgnoreCase);

    /// <summary>Whether a request has such a field.</summary>
    public static bool AreIn(HttpRequestMessage message) => message.Headers.NonValidated.Any(field => MayBe(field.Key));

    /// <summary>
    /// Whether a field may say who asks: those above, and whatever is not known to say nothing of it. Servers take credentials under any name, and
    /// write their own addresses as Forwarded and X-Forwarded-* say.
    /// </summary>
    public static bool MayBe(string name) =>
        !Others.Contains(name) && !Array.Exists(Families, family => name.StartsWith(family, StringComparison.OrdinalIgnoreCase));
}
