using System.Collections.Concurrent;
using System.Globalization;
using Discobot.Infrastructure.Wire;
using Microsoft.Extensions.Primitives;

namespace Discobot.Features.Cache.Revalidation;

/// <summary>
/// Answers addresses whose content may change, as a shared cache does (RFC 9111): while a record is fresh, by itself; when it is stale, after its origin
/// has confirmed it, which costs a few hundred bytes; and, of package registries, also while the origin cannot be reached.
/// </summary>
internal sealed partial class Revalidator(
    CacheStore store, CacheHits hits, CacheMisses misses, CacheStats stats, Fills fills, OriginReach reach, UpstreamRequests requests,
    DocumentSets sets, Variants variants, PackageRedirects redirects, HeadAnswers heads, IndexHashes hashes, CredentialDigest credentials, TimeProvider time, ILogger<Revalidator> log)
{
    private static readonly string[] Conditions = ["If-None-Match", "If-Modified-Since", "If-Match", "If-Unmodified-Since", "If-Range", "Range"];

    private readonly ConcurrentDictionary<Hash256, bool> _refreshing = new();

    /// <summary>Answers a GET or HEAD that a rule names.</summary>
    public async Task AskAsync(HttpContext context, CacheRule rule, CacheOptions options, RequestDelegate next)
    {
        var question = await AskedByAsync(context, rule, options);
        var stored = await FindAsync(question);
        if (stored is not null)
        {
            if (question.Integrity is { } integrity && !await IsMetAsync(stored, integrity, context.RequestAborted))
            {
                question = question with { IsAnother = true };
                LogAnother(CacheKey.AddressOf(stored.Record.Metadata.Key), integrity, ProxiedRequest.Of(context).Id);
            }

            switch (Judge(question, stored.Record.Metadata))
            {
                case Verdict.Answer when await AnswerAsync(question, stored, "hit"):
                    return;
                case Verdict.AnswerAndRefresh:
                    Refresh(question, stored);
                    if (await AnswerAsync(question, stored, "hit"))
                        return;
                    break;
                case Verdict.Ask:
                    await (IsPlainGet(context.Request) ? FetchAsync(question, stored) : PassOnAsync(question, stored, next));
                    return;
            }
        }

        if (question.Wishes.Has("only-if-cached"))
        {
            await ProxyErrors.WriteAsync(context, new ProxyError(504, "not_cached", "The client wanted a stored answer only (only-if-cached), and there is none."));
            return;
        }

        await (IsPlainGet(context.Request) ? FetchAsync(question, null) : PassOnAsync(question, null, next));
    }

    private async ValueTask<bool> IsMetAsync(StoredBody stored, Integrity integrity, CancellationToken cancel)
    {
        try
        {
            return await hashes.IsMetByAsync(stored, integrity, cancel);
        }
        catch (IOException)
        {
            // Not known; whoever sends it finds the disk's error again.
            return true;
        }
        catch
        {
            stored.Release();
            throw;
        }
    }

    // What asks for a part, or for the head alone, is not stored; a record answers it while it is fresh.
    private static bool IsPlainGet(HttpRequest request) =>
        Methods.IsGet(request.Method) && !request.Headers.ContainsKey("Range") && !Precondition.IsForOrigin(request);

    // What is answered to a credential is for that credential alone and stands under a digest of it, unless its origin says that it is for all.
    private async ValueTask<Question> AskedByAsync(HttpContext context, CacheRule rule, CacheOptions options)
    {
        var fields = requests.Fields(context);
        using var message = UpstreamRequests.Create(context, fields);
        var credential = CredentialOf(message, rule, context.Request.Headers) is { } sent ? await credentials.OfAsync(sent) : null;
        return new Question(context, rule, options, Variants.AddressOf(ProxiedRequest.Of(context), rule))
        {
            Credential = credential,
            IsAnonymous = credential is null && !message.Headers.NonValidated.Contains("Cookie"),
            Sent = fields,
            Integrity = await hashes.OfAsync(rule, ProxiedRequest.Of(context), context.RequestAborted),
        };
    }

    private static string? CredentialOf(HttpRequestMessage message, CacheRule rule, IHeaderDictionary sent)
    {
        var found = message.Headers.NonValidated
            .Where(field => CredentialMark.IsIn(sent[field.Key].ToString()) || (rule.Ecosystem is null && !rule.IsPersonal
                ? field.Key.Equals("Authorization", StringComparison.OrdinalIgnoreCase) || CredentialFields.IsForwarded(field.Key) : CredentialFields.MayBe(field.Key)))
            .Select(field => $"{field.Key.ToLowerInvariant()}: {field.Value}\n").Order(StringComparer.Ordinal).ToList();
        return found.Count > 0 ? string.Concat(found) : null;
    }

    private async ValueTask<StoredBody?> FindAsync(Question question)
    {
        var (fields, cancel) = (question.Fields, question.Context.RequestAborted);
        if (question.Private is null)
            return await variants.FindAsync(question.Address, fields, cancel);
        if (await variants.FindAsync(question.Private, fields, cancel) is { } own)
            return own;
        var stored = await variants.FindAsync(question.Address, fields, cancel);
        if (stored is null || CacheControl.Of(stored.Record.Metadata).IsForAll)
            return stored;
        stored.Release();
        return null;
    }

    private Verdict Judge(Question question, EntryMetadata record)
    {
        var (control, wishes) = (CacheControl.Of(record), question.Wishes);
        // What is stored cannot tell whether they hold (RFC 9111, 4.3.2).
        if (Precondition.IsForOrigin(question.Context.Request))
            return Verdict.Ask;
        if (question.Rule.IsRedirected || StaleAnswer.IsInPlace(record, question.Rule))
            return Verdict.Ask;
        var freshness = Freshness.Of(record, question.Rule, time.GetUtcNow());
        if (question.IsAnother || control.Has("no-cache") || wishes.Has("no-cache"))
            return Verdict.Ask;
        // RFC 9111, 3.5: what was answered to a credential is used again unasked only where the origin says so.
        if (question.Private is not null && !control.IsForAll)
            return Verdict.Ask;
        if (wishes.Seconds("max-age") is { } most && freshness.Age > most && !(wishes.Has("max-stale") && !control.IsStrict))
            return Verdict.Ask;
        if (wishes.Seconds("min-fresh") is { } least && freshness.Lifetime - freshness.Age < least)
            return Verdict.Ask;
        if (freshness.IsFresh)
            return Verdict.Answer;
        if (control.IsStrict)
            return Verdict.Ask;
        if (wishes.HasBare("max-stale") || wishes.Seconds("max-stale") >= freshness.Staleness)
            return Verdict.Answer;
        return control.Seconds("stale-while-revalidate") >= freshness.Staleness ? Verdict.AnswerAndRefresh : Verdict.Ask;
    }

    private async Task<bool> AnswerAsync(Question question, StoredBody stored, string status, EntryMetadata? confirmed = null)
    {
        var record = confirmed ?? For(question, stored);
        var freshness = Freshness.Of(record, question.Rule, time.GetUtcNow());
        var headers = question.Context.Response.Headers;
        headers.Age = freshness.Age.ToString(CultureInfo.InvariantCulture);
        headers["Cache-Status"] = status == "hit"
            ? $"Discobot; hit; ttl={(freshness.Lifetime - freshness.Age).ToString(CultureInfo.InvariantCulture)}"
            : $"Discobot; {status}";
        hashes.Read(question.Rule, ProxiedRequest.Of(question.Context), stored);
        var target = new CacheTarget(CacheKey.Of(record.Key), null);
        return await hits.TrySendAsync(question.Context, target, stored, ReferenceEquals(record, stored.Record.Metadata) ? null : new StoredRecord(record));
    }

    private static EntryMetadata For(Question question, StoredBody stored) =>
        question.IsAnonymous ? stored.Record.Metadata : ReusableAnswer.WithoutCookies(stored.Record.Metadata);

    // Owns the stored body, if there is one.
    private async Task FetchAsync(Question question, StoredBody? stored)
    {
        using var seat = Enter(question);
        if (seat is { Leads: false })
        {
            EntryMetadata? begun = null;
            if (await TryJoinAsync(question, seat, stored, head => begun = head))
                return;
            // It may have come in, or been confirmed, meanwhile.
            stored?.Release();
            stored = await FindAsync(question);
            if (stored?.Record.Metadata is { } record && (Judge(question, record) == Verdict.Answer || (begun is not null && (record.Key, record.StoredAt) == (begun.Key, begun.StoredAt))))
            {
                if (await AnswerAsync(question, stored!, "hit"))
                    return;
                stored = null;
            }
        }

        await AskOriginAsync(question with { Seat = seat is { Leads: true } ? seat : null }, stored);
    }

    private enum Verdict
    {
        Answer,
        AnswerAndRefresh,
        Ask,
    }

    private sealed record Question(HttpContext Context, CacheRule Rule, CacheOptions Options, string Address)
    {
        /// <summary>The digest of the request's credential; null when it has none.</summary>
        public string? Credential { get; init; }

        /// <summary>What its origin is sent.</summary>
        public required IHeaderDictionary Sent { get; init; }

        /// <summary>While its client waits.</summary>
        public SelectingFields Fields => new(Sent, Context.Request.Headers);

        /// <summary>Where the answers to that credential stand.</summary>
        public string? Private => Credential is null ? null : Variants.PrivateOf(Address, Credential);

        /// <summary>Whether the origin cannot tell who asks: neither by a credential nor by a cookie, the client's or one that we add.</summary>
        public bool IsAnonymous { get; init; }

        /// <summary>What an index says of the file; null where none does.</summary>
        public Integrity? Integrity { get; init; }

        /// <summary>Whether what is stored is not that file.</summary>
        public bool IsAnother { get; init; }

        /// <summary>Of those who wait for this question's answer; null where nobody does. Left as soon as it is known that there is nothing to share.</summary>
        public Flight.Seat? Seat { get; init; }

        public CacheControl Wishes { get; } = CacheControl.Of(Context.Request);
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "cache answers with what was stored {Path} {Reason} {Id}")]
    private partial void LogStale(string path, string reason, string id);

    [LoggerMessage(Level = LogLevel.Warning, Message = "cache asks again for what is not what its index names {Path} {Integrity} {Id}")]
    private partial void LogAnother(string path, Integrity integrity, string id);

    [LoggerMessage(Level = LogLevel.Information, Message = "cache could not refresh {Path} {Reason} {Id}")]
    private partial void LogNotRefreshed(string path, string reason, string id);
}
