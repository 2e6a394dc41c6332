using System.Text;
using Discobot.Infrastructure.Wire;
using Microsoft.Extensions.Primitives;

namespace Discobot.Features.Cache.Revalidation;

/// <summary>
/// The records of one address, of which each answers the requests that agree with it in the fields that Vary names (RFC 9111, 4.1). A record without Vary
/// stands under the address itself; where there was a Vary, a record without a body (<c>#vary</c>) remembers the names.
/// </summary>
/// <remarks>
/// The variants' keys contain a number drawn for the address. Ending what is stored for an address ends the number, and with it every variant,
/// also those that nobody lists.
/// What is answered to a credential stands under a name of that credential, in which there is a number drawn for the address as well (<c>#private</c>): who
/// changes what is there has one credential, and ends the answers to all.
/// </remarks>
internal sealed class Variants(CacheStore store, CredentialDigest digest, TimeProvider time)
{
    /// <summary>What begins, behind the address, the names of credentials' answers.</summary>
    public const string Credential = "authorization=";

    /// <summary>The record that has the number of an address for credentials' answers.</summary>
    public const string Privates = "private";

    public const string Epoch = "X-Epoch";

    /// <summary>Records of one address that answer by a field of the request, and again that answer credentials. The least recently used goes.</summary>
    public const int MaxKept = 32;

    private const string KeptField = "X-Kept";
    private const int MaxNameSets = 4;

    private readonly Lock _keeping = new();
    private Task _kept = Task.CompletedTask;

    /// <summary>The name of an address; no address has a fragment, so none can be another's.</summary>
    public static string AddressOf(ProxiedRequest request, CacheRule? rule)
    {
        var query = request.PathAndQuery.AsSpan(request.Path.Length);
        var counted = rule is null ? query.ToString() : rule.Query(query);
        return CacheKey.OriginOf(request) + request.Path + CountedQuery.Of(counted, namesContent: false) + "#";
    }

    /// <summary>The name of an address for one credential.</summary>
    public static string PrivateOf(string address, string credential) => $"{address}{Credential}{credential};";

    /// <summary>What has to end when the origin has changed what is there, and <see cref="PrivatesOf"/>.</summary>
    public static (CacheKey Plain, CacheKey Names) KeysOf(string address) => (CacheKey.Of(address), CacheKey.Of(address + "vary"));

    /// <summary>What has to end for the answers to credentials to end, all of them.</summary>
    public static CacheKey PrivatesOf(string address) => CacheKey.Of(address[..(address.IndexOf('#', StringComparison.Ordinal) + 1)] + Privates);

    /// <summary>As <see cref="KeysOf"/>, for those of an address or, where it is one credential's name of it, of that credential.</summary>
    /// <returns>Null when nothing is stored for credentials.</returns>
    public async ValueTask<(CacheKey Plain, CacheKey Names)?> KeysOfAsync(string address, CancellationToken cancel) =>
        await NameAsync(address, cancel) is { } name ? KeysOf(name) : null;

    /// <summary>Opens the newest record that answers a request with these fields; the caller releases it.</summary>
    public async ValueTask<StoredBody?> FindAsync(string address, SelectingFields fields, CancellationToken cancel)
    {
        await store.ListedAsync(cancel);
        if (await NameAsync(address, cancel) is not { } name)
            return null;
        address = name;
        CacheEntry? newest = store.Index.Get(CacheKey.Of(address).Hash);
        var key = CacheKey.Of(address);
        if (await ReadAsync(KeysOf(address).Names, cancel) is { } names)
        {
            foreach (var set in names.Sets)
            {
                var candidate = await VariantKeyAsync(address, names.Epoch, set, fields);
                if (store.Index.Get(candidate.Hash) is { } entry && (newest is null || StoredAt(entry) >= StoredAt(newest)))
                    (newest, key) = (entry, candidate);
            }
        }

        return newest is null ? null : await store.FindAsync(new CacheTarget(key, null), cancel);
    }

    // What a clock said that was set back since is older than all that it says now.
    private long StoredAt(CacheEntry entry) => entry.StoredAt <= time.GetUtcNow().Add(Freshness.ClockTolerance).ToUnixTimeMilliseconds() ? entry.StoredAt : 0;

    /// <summary>The key under which an answer to a request with these fields is to be stored; null when the disk takes nothing.</summary>
    public async ValueTask<CacheKey?> KeyForAsync(string address, string vary, SelectingFields fields, CancellationToken cancel)
    {
        if ((await NameAsync(address, cancel) ?? Drawn(address)) is not { } name)
            return null;
        address = name;
        var set = Normalized(vary);
        if (set.Length == 0)
            return CacheKey.Of(address);
        var names = await ReadAsync(KeysOf(address).Names, cancel) ?? new Names(Guid.NewGuid().ToString("N"), [], []);
        if (!names.Sets.Contains(set))
        {
            names = names with { Sets = [set, .. names.Sets.Take(MaxNameSets - 1)] };
            if (!TryWrite(KeysOf(address).Names, names))
                return null;
        }

        return await VariantKeyAsync(address, names.Epoch, set, fields);
    }

    /// <summary>A record is in the index, under a key of <see cref="KeyForAsync"/>: others of its address may have to go, beside the answers.</summary>
    public void Kept(string address, CacheKey key)
    {
        if (key.Text.EndsWith('#'))
            return;
        lock (_keeping)
            store.Track(_kept = KeepAsync(_kept, address, key));
    }

    // One after the other: each changes the list that the one before has left.
    private async Task KeepAsync(Task before, string address, CacheKey key)
    {
        await before.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing | ConfigureAwaitOptions.ForceYielding);
        var isPrivate = IsPrivate(address);
        var holder = isPrivate ? PrivatesOf(address) : KeysOf(address).Names;
        var names = await ReadAsync(holder, CancellationToken.None);
        if (names is null || !key.Text.Contains(names.Epoch, StringComparison.Ordinal))
        {
            // Its address was ended, or given another number, while it came in: nobody would find it. A list that cannot be read just now says nothing.
            if ((names is not null || !store.Index.ContainsKey(holder.Hash)) && store.Index.Get(key.Hash) is { } lost)
                store.Evict(lost);
            return;
        }

        // What names a credential's variants goes with them.
        var vary = isPrivate ? key.Text.IndexOf(";vary=", StringComparison.Ordinal) : -1;
        var added = vary < 0 ? [key.Hash] : (Hash256[])[KeysOf(key.Text[..(vary + 1)]).Names.Hash, key.Hash];
        if (added.All(names.Kept.Contains))
            return;
        var kept = names.Kept.Where(k => !added.Contains(k) && store.Index.ContainsKey(k)).ToList();
        while (kept.Count + added.Length > MaxKept)
        {
            var oldest = kept.MinBy(k => store.Index.Get(k)?.UsedAt ?? default);
            kept.Remove(oldest);
            if (store.Index.Get(oldest) is { } entry)
                store.Evict(entry);
        }

        // Not added anew: no body came in, and a disk that takes nothing leaves the list that there is.
        if (store.Index.Get(holder.Hash) is { } list)
            await store.UpdateAsync(list, RecordOf(holder, names with { Kept = [.. kept, .. added] }));
    }

    // With the number that is in force; null for a credential's where none is.
    private async ValueTask<string?> NameAsync(string address, CancellationToken cancel) =>
        !IsPrivate(address) ? address
        : await ReadAsync(PrivatesOf(address), cancel) is { } names ? Numbered(address, names.Epoch)
        : null;

    private string? Drawn(string address)
    {
        var names = new Names(Guid.NewGuid().ToString("N"), [], []);
        return TryWrite(PrivatesOf(address), names) ? Numbered(address, names.Epoch) : null;
    }

    private static bool IsPrivate(string address) => address.AsSpan(address.IndexOf('#', StringComparison.Ordinal) + 1).StartsWith(Credential, StringComparison.Ordinal);

    private static string Numbered(string address, string epoch) => $"{address[..^1]}.{epoch};";

    private async ValueTask<Names?> ReadAsync(CacheKey key, CancellationToken cancel)
    {
        if (await store.FindAsync(new CacheTarget(key, null), cancel) is not { } marker)
            return null;
        var record = marker.Record.Metadata;
        marker.Release();
        return new Names(
            record.Header(Epoch) ?? "", [.. record.Headers.Where(h => h.Key == "Vary").Select(h => h.Value)], HashesIn(record.Header(KeptField) ?? ""));
    }

    private static Hash256[] HashesIn(string list) =>
        [.. list.Split(',').Select(text => Hash256.TryParse(text, out var hash) ? hash : (Hash256?)null).OfType<Hash256>()];

    private bool TryWrite(CacheKey key, Names names)
    {
        TemporaryBody temporary;
        try
        {
            temporary = store.CreateTemporary();
        }
        catch (Exception e) when (DiskFailure.Is(e))
        {
            return false;
        }

        store.Add(temporary, RecordOf(key, names)).Release();
        return true;
    }

    private EntryMetadata RecordOf(CacheKey key, Names names) => new()
    {
        Key = key.Text,
        Size = 0,
        Digest = Hash256.Of(""),
        StoredAt = time.GetUtcNow().ToUnixTimeMilliseconds(),
        Kind = BodyKind.Blob,
        Headers =
        [
            new(Epoch, names.Epoch), .. names.Sets.Select(s => KeyValuePair.Create("Vary", s)),
            .. names.Kept.Length > 0 ? [KeyValuePair.Create(KeptField, string.Join(',', names.Kept))] : Array.Empty<KeyValuePair<string, string>>(),
        ],
    };

    private static string Normalized(string vary) => string.Join(',', vary
        .Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries)
        .Select(n => n.ToLowerInvariant()).Distinct().Order(StringComparer.Ordinal));

    private async ValueTask<CacheKey> VariantKeyAsync(string address, string epoch, string set, SelectingFields fields)
    {
        var values = new StringBuilder();
        foreach (var name in set.Split(','))
        {
            var value = fields.Sent.TryGetValue(name, out var lines) ? Combined(lines) : "\0";
            values.Append(name).Append(':').Append(fields.IsSecret(name) ? await digest.OfAsync($"{name}:{value}") : value).Append('\n');
        }

        return CacheKey.Of($"{address}vary={epoch}:{set}:{Hash256.Of(values.ToString())}");
    }

    // Lines of one field are one list, and blanks around its commas say nothing (RFC 9110, 5.3 and 5.6.1).
    private static string Combined(StringValues lines) =>
        string.Join(',', lines.SelectMany(l => (l ?? "").Split(',', StringSplitOptions.TrimEntries)));

    private sealed record Names(string Epoch, string[] Sets, Hash256[] Kept);
}
