using Discobot.Infrastructure.Wire;

namespace Discobot.Features.Cache.Revalidation;

/// <summary>
/// Where package registries send their clients for a file. While a registry can be reached it is asked each time. While it cannot, its client is sent where it was
/// sent before, without what signed that address, which is kept nowhere; and what was found there answers for that address.
/// </summary>
/// <remarks>
/// Anybody may redirect anywhere. So no more is remembered of an address than that it may be kept, for an hour, under its own name: its host is asked each
/// time, with the client's own signature, and what is kept stands in where that host cannot be reached. Nobody's redirect answers for another's address. What a
/// credential was sent to, or what is private, is for that client alone, which the address does not tell: it is not kept.
/// </remarks>
internal sealed class PackageRedirects(CacheStore store, Variants variants, Fills fills, TimeProvider time)
{
    private const int Remembered = 4096;
    private const int MaxLocation = 8192;
    private static readonly TimeSpan Lifetime = TimeSpan.FromHours(1);

    private readonly RecentTable<(CacheRule Rule, long Since)> _followed = new(Remembered);

    /// <summary>How an address is kept to which a registry has sent somebody lately; null for others.</summary>
    public CacheRule? RuleOf(ProxiedRequest request) =>
        !_followed.IsEmpty && _followed.TryFind(KeyOf(request), out var known) && time.GetElapsedTime(known.Since) < Lifetime ? known.Rule : null;

    /// <summary>A client without credentials is being sent there.</summary>
    /// <param name="rule">Why.</param>
    /// <param name="from">What it asked for.</param>
    /// <param name="location">As in the answer.</param>
    /// <param name="isStoodInFor">Whether the registry is away.</param>
    public void Follow(CacheRule rule, ProxiedRequest from, string location, bool isStoodInFor)
    {
        if (TargetOf(from, location) is not { } target)
            return;
        var followed = new CacheRule
        {
            Ecosystem = rule.Ecosystem,
            Mode = CacheMode.Revalidate,
            Pattern = rule.Pattern,
            MayGuess = false,
            IsRedirected = true,
            HasLostSignature = isStoodInFor,
        };
        _followed.Add(KeyOf(target), (followed, time.GetTimestamp()));
    }

    /// <summary>Keeps an answer that redirects, for the time when its registry is away.</summary>
    /// <param name="from">What was asked for.</param>
    /// <param name="address">Where it is kept, as of <see cref="Variants.AddressOf"/>, perhaps of one credential.</param>
    /// <param name="vary">The fields of the client that count.</param>
    /// <param name="fields">Those that it was chosen by.</param>
    /// <param name="response">The answer; nothing of its body is read.</param>
    /// <param name="stored">What is kept there now.</param>
    /// <param name="asked">When it was asked for.</param>
    /// <param name="cancel">Ends it before it is kept.</param>
    public async ValueTask KeepAsync(
        ProxiedRequest from, string address, string vary, SelectingFields fields, HttpResponseMessage response, EntryMetadata? stored, Moment asked, CancellationToken cancel)
    {
        var status = (int)response.StatusCode;
        // A document that is kept is more than a way to another, which may be that to a page of a registry that is being mended.
        if (stored is { Status: 200 })
            return;
        if (ReusableAnswer.Location(response) is not { Length: <= MaxLocation } sent || CountedQuery.Unsigned(sent) is not { } location
            || TargetOf(from, location) is null || StorableAnswer.Forbids(response, "no-store") || StorableAnswer.Forbids(response, "private") || vary.Contains('*', StringComparison.Ordinal)
            || (stored?.Status == status && stored.Header("Location") == location && stored.ETag == response.Headers.ETag?.ToString()))
            return;
        if (await variants.KeyForAsync(address, vary, fields, cancel) is not { } key)
            return;
        var record = new EntryMetadata
        {
            Key = key.Text,
            Size = 0,
            Digest = Hash256.Of(""),
            StoredAt = time.GetUtcNow().ToUnixTimeMilliseconds(),
            Kind = BodyKind.Blob,
            Status = status,
            Headers =
            [
                .. EndToEnd.Storable(EndToEnd.Headers(response), cookies: false).Where(h => !h.Key.StartsWith("Content-", StringComparison.OrdinalIgnoreCase) && h.Key is not ("Location" or "location")),
                new("Location", location),
            ],
        };
        Add(record, CacheKey.Of(address).Hash, asked);
        variants.Kept(address, key);
    }

    /// <summary>Whether what a kept redirect leads to is here.</summary>
    /// <param name="from">What it answers.</param>
    /// <param name="record">It.</param>
    /// <param name="credential">The digest of the client's credential; null for none.</param>
    /// <param name="cancel">Ends it.</param>
    public async ValueTask<bool> LeadsToStoredAsync(ProxiedRequest from, EntryMetadata record, string? credential, CancellationToken cancel)
    {
        if (record.Header("Location") is not { } location || TargetOf(from, location) is not { } target)
            return false;
        var address = Variants.AddressOf(target, null);
        return await IsKnownAsync(address, cancel) || (credential is not null && await IsKnownAsync(Variants.PrivateOf(address, credential), cancel));
    }

    private async ValueTask<bool> IsKnownAsync(string address, CancellationToken cancel) =>
        await variants.KeysOfAsync(address, cancel) is var (plain, names) && (store.Index.ContainsKey(plain.Hash) || store.Index.ContainsKey(names.Hash));

    private void Add(EntryMetadata record, Hash256 resource, Moment asked)
    {
        try
        {
            var body = store.Add(store.CreateTemporary(), record);
            // A request that changed what is there may have passed since it was asked for.
            if (fills.HasChanged(resource, asked.Mark))
                store.Evict(body.Entry);
            body.Release();
        }
        catch (Exception e) when (DiskFailure.Is(e))
        {
            // A full disk: then it is not kept.
        }
    }

    private static Hash256 KeyOf(ProxiedRequest request) =>
        RedirectMemory.KeyOf(request.Scheme, request.Target.Host, request.Target.Port, request.PathAndQuery);

    // As a client asks for it that follows; null for what cannot be followed, and for what has a password in it.
    private static ProxiedRequest? TargetOf(ProxiedRequest from, string location)
    {
        location = location.Split('#')[0];
        // An absolute address goes out as it stands there, escapes and all; the key of what is found there is made of it.
        if (!(Uri.TryCreate(location, ProxiedRequest.AsSent, out var uri) && uri is { IsAbsoluteUri: true, Scheme: "http" or "https" })
            && !RedirectMemory.TryResolve(from, location, out uri))
            return null;
        try
        {
            return uri.UserInfo.Length > 0 || uri.IdnHost.Length == 0 ? null : new ProxiedRequest
            {
                Id = from.Id,
                Scheme = uri.Scheme,
                Target = new ConnectTarget(ConnectTarget.Normalize(uri.IdnHost), uri.Port),
                PathAndQuery = uri.PathAndQuery,
            };
        }
        catch (UriFormatException)
        {
            return null;
        }
    }
}
