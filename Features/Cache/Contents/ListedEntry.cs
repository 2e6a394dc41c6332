using System.Text.Json.Serialization;

namespace Discobot.Features.Cache.Contents;

/// <summary>One record as the listing shows it.</summary>
/// <param name="Key">The address that it answers.</param>
/// <param name="File">The body's file in <c>cache.dir</c>; the record itself is beside it, with <c>.meta</c>.</param>
/// <param name="Size">Bytes of the body.</param>
/// <param name="StoredAt">When its origin sent or last confirmed it.</param>
/// <param name="UsedAt">When a request last used it.</param>
/// <param name="Rule">Why it is kept: <c>digest</c>, <c>immutable</c> (<c>cache.patterns</c>), a package registry's name, a pattern of
/// <c>cache.rules</c> or, of answers to a credential, of <c>cache.patterns</c>, <c>tag</c>, or <c>none</c> when no rule of today names it.</param>
/// <param name="State"><c>always</c>: never asked about again; <c>fresh</c>, <c>stale</c>, or <c>unused</c> when no rule names it.</param>
/// <param name="FreshFor">Seconds that it answers unasked; negative since it became stale; null where the state is no matter of time.</param>
/// <param name="Vary">The request fields that it was chosen by.</param>
/// <param name="Private">Whether it answers one credential only.</param>
internal sealed record ListedEntry(
    [property: JsonPropertyName("key")] string Key,
    [property: JsonPropertyName("file")] string File,
    [property: JsonPropertyName("size")] long Size,
    [property: JsonPropertyName("stored_at")] DateTimeOffset StoredAt,
    [property: JsonPropertyName("used_at")] DateTimeOffset UsedAt,
    [property: JsonPropertyName("rule")] string Rule,
    [property: JsonPropertyName("state")] string State,
    [property: JsonPropertyName("fresh_for")] long? FreshFor,
    [property: JsonPropertyName("vary")] string? Vary,
    [property: JsonPropertyName("private")] bool Private);

/// <summary>One record with what its origin said.</summary>
/// <param name="Entry">As the listing shows it.</param>
/// <param name="Sha256">Of the body.</param>
/// <param name="Status">Of the answer.</param>
/// <param name="Records">How many records share the body.</param>
/// <param name="Fields">The answer's header fields; secrets and the queries of addresses are left out.</param>
internal sealed record ShownEntry(
    [property: JsonPropertyName("entry")] ListedEntry Entry,
    [property: JsonPropertyName("sha256")] string Sha256,
    [property: JsonPropertyName("status")] int Status,
    [property: JsonPropertyName("records")] int Records,
    [property: JsonPropertyName("fields")] IReadOnlyList<ShownField> Fields);

internal sealed record ShownField([property: JsonPropertyName("name")] string Name, [property: JsonPropertyName("value")] string Value);

/// <param name="Entries">How many records went, or would go.</param>
/// <param name="Bytes">Of the bodies that nobody else's record needs.</param>
/// <param name="DryRun">Whether they are still there.</param>
internal sealed record EvictedEntries(
    [property: JsonPropertyName("entries")] int Entries,
    [property: JsonPropertyName("bytes")] long Bytes,
    [property: JsonPropertyName("dry_run")] bool DryRun);
