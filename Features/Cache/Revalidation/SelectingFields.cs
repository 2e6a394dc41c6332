using Discobot.Infrastructure.Wire;

namespace Discobot.Features.Cache.Revalidation;

/// <summary>By what an answer is chosen among those of its address (RFC 9111, 4.1).</summary>
/// <param name="Sent">What its origin was sent, and chose by: with the secrets in place of their placeholders, and with what header rules add.</param>
/// <param name="Asked">What the client sent.</param>
internal readonly record struct SelectingFields(IHeaderDictionary Sent, IHeaderDictionary Asked)
{
    /// <summary>Whether nobody who finds a record may be able to try values on it: those of a field that may say who asks, and what the client did not send.</summary>
    public bool IsSecret(string name) => CredentialFields.MayBe(name) || Sent[name] != Asked[name];
}
