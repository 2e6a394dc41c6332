using Discobot.Features.Cache.Revalidation;
using Discobot.Infrastructure.Wire;

namespace Discobot.Features.Cache.Contents;

/// <summary>
/// A record's key taken apart: the address, and behind a <c>#</c>, which no address has, which of the address's answers it is
/// (<see cref="Variants"/>).
/// </summary>
/// <param name="Address">What was asked for: host, path and what counts of the query, before them <c>http://</c> where it is not https.</param>
/// <param name="IsNames">No answer: it remembers by which fields the address's answers differ, or under which number those to credentials stand.</param>
/// <param name="IsTag">The digest that a tag last had (<c>cache.stale_tags</c>).</param>
/// <param name="MayChange">Whether it is kept as its host allows; otherwise for ever.</param>
/// <param name="IsPrivate">Whether it answers one credential only.</param>
/// <param name="Vary">The request fields that it was chosen by, joined by commas; null for any request.</param>
internal sealed record RecordKey(string Address, bool IsNames, bool IsTag, bool MayChange, bool IsPrivate, string? Vary)
{
    public static RecordKey Of(string text)
    {
        if (text.IndexOf('#', StringComparison.Ordinal) is var hash && hash < 0)
            return new(text, IsNames: false, IsTag: false, MayChange: false, IsPrivate: false, Vary: null);
        var rest = text[(hash + 1)..];
        var isPrivate = rest.StartsWith(Variants.Credential, StringComparison.Ordinal);
        if (isPrivate)
            rest = rest[(rest.IndexOf(';', StringComparison.Ordinal) + 1)..];
        var vary = rest.Split(':') is [var first, var names, _] && first.StartsWith("vary=", StringComparison.Ordinal) ? names : null;
        return new(text[..hash], IsNames: rest is "vary" or Variants.Privates, IsTag: rest == "tag", MayChange: rest != "tag", isPrivate, vary);
    }

    /// <summary>The request that its address is asked for with; null when an earlier version wrote a key that is none.</summary>
    public ProxiedRequest? ToRequest()
    {
        const string cleartext = "http://";
        var scheme = Address.StartsWith(cleartext, StringComparison.Ordinal) ? "http" : "https";
        var rest = scheme == "http" ? Address[cleartext.Length..] : Address;
        var slash = rest.IndexOf('/', StringComparison.Ordinal);
        return slash > 0 && ConnectTarget.TryParse(rest.AsSpan(0, slash), scheme == "http" ? 80 : 443, out var target)
            ? new ProxiedRequest { Id = "", Scheme = scheme, Target = target, PathAndQuery = rest[slash..] }
            : null;
    }
}
