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
    DocumentSets sets, Variants variants, PackageRedirects redirects, IndexHashes hashes, CredentialDigest credentials, TimeProvider time, ILogger<Revalidator> log)
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
        HttpMethods.IsGet(request.Method) && !request.Headers.ContainsKey("Range") && request.Headers.IfMatch.Count == 0 && request.Headers.IfUnmodifiedSince.Count == 0;

    // What is answered to a credential is for that credential alone and stands under a digest of it, unless its origin says that it is for all.
    private async ValueTask<Question> AskedByAsync(HttpContext context, CacheRule rule, CacheOptions options)
    {
        using var message = requests.Create(context);
        var address = Variants.AddressOf(ProxiedRequest.Of(context), rule);
        return new Question(context, rule, options, address)
        {
            Private = CredentialOf(message, rule) is { } credential ? $"{address}authorization={await credentials.OfAsync(credential)};" : null,
            Integrity = await hashes.OfAsync(rule, ProxiedRequest.Of(context), context.RequestAborted),
        };
    }

    private static string? CredentialOf(HttpRequestMessage message, CacheRule rule)
    {
        var found = message.Headers.NonValidated
            .Where(field => rule.Ecosystem is null ? field.Key.Equals("Authorization", StringComparison.OrdinalIgnoreCase) || CredentialFields.IsForwarded(field.Key) : CredentialFields.MayBe(field.Key))
            .Select(field => $"{field.Key.ToLowerInvariant()}: {field.Value}\n").Order(StringComparer.Ordinal).ToList();
        return found.Count > 0 ? string.Concat(found) : null;
    }

    private async ValueTask<StoredBody?> FindAsync(Question question)
    {
        var (fields, cancel) = (question.Context.Request.Headers, question.Context.RequestAborted);
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
        var record = confirmed ?? stored.Record.Metadata;
        var freshness = Freshness.Of(record, question.Rule, time.GetUtcNow());
        var headers = question.Context.Response.Headers;
        headers.Age = freshness.Age.ToString(CultureInfo.InvariantCulture);
        headers["Cache-Status"] = status == "hit"
            ? $"Discobot; hit; ttl={(freshness.Lifetime - freshness.Age).ToString(CultureInfo.InvariantCulture)}"
            : $"Discobot; {status}";
        hashes.Read(question.Rule, ProxiedRequest.Of(question.Context), stored);
        var target = new CacheTarget(CacheKey.Of(record.Key), null);
        return await hits.TrySendAsync(question.Context, target, stored, confirmed is null ? null : new StoredRecord(confirmed));
    }

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

    private async Task AskOriginAsync(Question question, StoredBody? stored)
    {
        var asked = Now();
        // Nobody confirms what was said in place of a document: the client's own question is asked.
        var confirmable = stored is null || StaleAnswer.IsInPlace(stored.Record.Metadata, question.Rule) ? null : stored.Record.Metadata;
        if (await TrySendAsync(question, stored, () => Message(question.Context, confirmable, question.IsAnother)) is not { } response)
            return;
        if (stored is not null)
        {
            var status = (int)response.StatusCode;
            if (status == 304 && confirmable is not null && !question.IsAnother)
            {
                await ConfirmAsync(question, stored, response, asked);
                return;
            }

            if (status is 500 or 502 or 503 or 504 && MayStandIn(question, stored.Record.Metadata, status == 500 ? Trouble.Failing : Trouble.Unavailable))
            {
                response.Dispose();
                await StandInAsync(question, stored, $"it said {status}");
                return;
            }
        }

        var former = stored?.Record.Metadata;
        stored?.Release();
        await PassAsync(question, response, asked, former);
    }

    // What asks for a part, or for the head alone, is passed on as it is; what is stored answers it while its origin is away.
    private async Task PassOnAsync(Question question, StoredBody? stored, RequestDelegate next)
    {
        var context = question.Context;
        if (question.Rule.Ecosystem is null)
        {
            stored?.Release();
            await next(context);
            return;
        }

        var asked = Now();
        if (await TrySendAsync(question, stored, () => requests.Create(context)) is not { } response)
            return;
        var former = stored?.Record.Metadata;
        stored?.Release();
        await RedirectAsync(question, response, asked, former);
        await UpstreamRelay.SendAsync(context, response, missed: false);
    }

    // Null: the client has its answer, and what is stored has been sent or released.
    private async Task<HttpResponseMessage?> TrySendAsync(Question question, StoredBody? stored, Func<HttpRequestMessage> message)
    {
        var (context, request) = (question.Context, ProxiedRequest.Of(question.Context));
        var isStoodInFor = stored is not null && MayStandIn(question, stored.Record.Metadata, Trouble.Away);
        if (isStoodInFor && reach.IsAway(request))
        {
            await StandInAsync(question, stored!, OriginReach.WasAway);
            return null;
        }

        try
        {
            var response = await reach.AskAsync(request, message(), isStoodInFor, context.RequestAborted);
            if (!isStoodInFor || !question.Rule.HasLostSignature || (int)response.StatusCode is not (400 or 401 or 403))
                return response;
            response.Dispose();
        }
        catch (Exception e) when (!context.RequestAborted.IsCancellationRequested)
        {
            question.Seat?.Dispose();
            var error = UpstreamFailures.ToError(e, request.Target.Host);
            if (stored is null)
                await ProxyErrors.WriteAsync(context, error);
            else if (!UpstreamFailures.IsUnreachable(error) || !MayStandIn(question, stored.Record.Metadata, ConnectionFailure.Is(e) ? Trouble.Away : Trouble.BrokenOff))
                await RefuseAsync(context, stored, error);
            else
                await StandInAsync(question, stored, error.Reason);
            return null;
        }
        catch
        {
            stored?.Release();
            throw;
        }

        await StandInAsync(question, stored!, "its registry is away, and what signed the address is not kept");
        return null;
    }

    private Moment Now() => new(time.GetUtcNow(), fills.Now());

    private static async Task RefuseAsync(HttpContext context, StoredBody stored, ProxyError error)
    {
        stored.Release();
        await ProxyErrors.WriteAsync(context, error);
    }

    private async Task ConfirmAsync(Question question, StoredBody stored, HttpResponseMessage response, Moment asked)
    {
        using (response)
        {
            if (ReusableAnswer.Confirms(stored.Record.Metadata, response))
            {
                var confirmed = ReusableAnswer.Confirmed(stored.Record.Metadata, response, asked.Time, time.GetUtcNow());
                await KeepAsync(question, stored.Entry, response, confirmed);
                question.Seat?.Dispose();
                Flow.Of(question.Context)?.Cache = FlowCache.Revalidated;
                if (await AnswerAsync(question, stored, "hit; fwd=stale; fwd-status=304", confirmed))
                    return;
            }
            else
            {
                stored.Release();
            }
        }

        // It was another's 304, or the file turned out to be altered: once more, for the whole.
        await AskOriginAsync(question, null);
    }

    // An origin may say with a 304, too, that what it sends is no longer to be kept.
    private async Task KeepAsync(Question question, CacheEntry entry, HttpResponseMessage response, EntryMetadata confirmed)
    {
        if (StorableAnswer.Forbids(response, "no-store") || StorableAnswer.Forbids(response, "private"))
            await Task.Run(() => End(question.Private ?? question.Address));
        else
            await store.UpdateAsync(entry, confirmed with { Headers = EndToEnd.Storable(confirmed.Headers, cookies: false) });
    }

    private async Task StandInAsync(Question question, StoredBody stored, string reason)
    {
        question.Seat?.Dispose();
        var record = stored.Record.Metadata;
        if (StaleAnswer.IsRedirect(record, question.Rule) && question.Private is null)
            redirects.Follow(question.Rule, ProxiedRequest.Of(question.Context), record.Header("Location")!, isStoodInFor: true);
        // Whether it is back is found out beside the answers, by one request at a time.
        if (reach.IsAway(ProxiedRequest.Of(question.Context)) && reach.TryProbe(ProxiedRequest.Of(question.Context)) is { } probe)
            Refresh(question, stored, probe);
        stats.Offline();
        LogStale(CacheKey.AddressOf(record.Key), reason, ProxiedRequest.Of(question.Context).Id);
        Flow.Of(question.Context)?.Cache = FlowCache.Stale;
        question.Context.Response.Headers.Warning = "111 discobot \"Revalidation Failed\"";
        if (!await AnswerAsync(question, stored, "hit; detail=stale"))
            await ProxyErrors.WriteAsync(question.Context, new ProxyError(502, "upstream_failed", $"{reason}, and what was stored is damaged."));
    }

    private bool MayStandIn(Question question, EntryMetadata record, Trouble trouble) =>
        StaleAnswer.MayStandIn(record, question.Rule, question.Wishes, question.Options.OfflineServes, trouble, time.GetUtcNow())
        && (trouble == Trouble.Away || !question.Rule.IsOneOfSet || !sets.IsOvertaken(question.Address, record.StoredAt))
        && (!StaleAnswer.IsRedirect(record, question.Rule) || redirects.LeadsToStored(ProxiedRequest.Of(question.Context), record, question.Private?[question.Address.Length..] ?? ""));

    private async Task PassAsync(Question question, HttpResponseMessage response, Moment asked, EntryMetadata? former)
    {
        var (context, status) = (question.Context, former is null ? "fwd=uri-miss" : "fwd=stale");
        asked = EndIfGone(question, response, asked);
        if (await HoldAsync(response, () => TryStoreAsync(question, response, asked)) is { } fill)
        {
            question.Seat?.Begun(fill);
            context.Response.Headers["Cache-Status"] = $"Discobot; {status}; stored";
            await misses.SendAsync(context, fill);
            return;
        }

        question.Seat?.Dispose();
        if (question.Rule.Ecosystem is not null && PackageRedirects.Is((int)response.StatusCode))
            await RedirectAsync(question, response, asked, former);
        // What its origin no longer wants kept, answers nobody from now on.
        else if ((int)response.StatusCode is 200 or 301)
            End(question.Private ?? question.Address);
        context.Response.Headers["Cache-Status"] = $"Discobot; {status}";
        await UpstreamRelay.SendAsync(context, response, missed: true);
    }

    // Until the answer is handed on it is ours: its connection waits for whoever reads it.
    private static async Task<T> HoldAsync<T>(HttpResponseMessage response, Func<Task<T>> use)
    {
        try
        {
            return await use();
        }
        catch
        {
            response.Dispose();
            throw;
        }
    }

    // What its origin says is gone answers nobody from now on, to whatever variant of the question it says so. Its saying so is of the state after that.
    private Moment EndIfGone(Question question, HttpResponseMessage response, Moment asked)
    {
        if ((int)response.StatusCode is not (404 or 410))
            return asked;
        var isCurrent = !fills.HasChanged(CacheKey.Of(question.Address).Hash, asked.Mark);
        End(question.Private ?? question.Address, question.Seat?.Flight);
        return isCurrent ? asked with { Mark = fills.Now() } : asked;
    }

    private void End(string address, Flight? own = null)
    {
        var (plain, names) = Variants.KeysOf(address);
        fills.Invalidate(plain.Hash, own);
        store.Invalidate(plain, names);
    }

    private enum Verdict
    {
        Answer,
        AnswerAndRefresh,
        Ask,
    }

    private sealed record Question(HttpContext Context, CacheRule Rule, CacheOptions Options, string Address)
    {
        /// <summary>Where the answers to the request's credential stand; null when it has none.</summary>
        public string? Private { get; init; }

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
