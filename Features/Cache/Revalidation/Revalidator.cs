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
    CacheStore store, CacheHits hits, CacheMisses misses, CacheStats stats, Fills fills, IUpstream upstream, UpstreamRequests requests,
    CacheLimits limits, Variants variants, TimeProvider time, ILogger<Revalidator> log)
{
    // Package registries take credentials in these too.
    private static readonly string[] Credentials = ["Authorization", "Cookie", "Private-Token", "Job-Token", "Deploy-Token", "X-JFrog-Art-Api", "X-Api-Key"];

    private static readonly string[] Conditions = ["If-None-Match", "If-Modified-Since", "If-Match", "If-Unmodified-Since", "If-Range", "Range"];

    private readonly ConcurrentDictionary<Hash256, bool> _refreshing = new();

    /// <summary>Answers a GET or HEAD that a rule names.</summary>
    public async Task AskAsync(HttpContext context, CacheRule rule, CacheOptions options, RequestDelegate next)
    {
        var question = AskedBy(context, rule, options);
        var stored = await FindAsync(question);
        if (stored is not null)
        {
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
                    if (IsPlainGet(context.Request))
                    {
                        await FetchAsync(question, stored);
                        return;
                    }

                    stored.Release();
                    break;
            }
        }

        if (question.Wishes.Has("only-if-cached"))
        {
            await ProxyErrors.WriteAsync(context, new ProxyError(504, "not_cached", "The client wanted a stored answer only (only-if-cached), and there is none."));
            return;
        }

        if (IsPlainGet(context.Request))
            await FetchAsync(question, null);
        else
            await next(context);
    }

    // What asks for a part, or for the head alone, is not stored; a record answers it while it is fresh.
    private static bool IsPlainGet(HttpRequest request) =>
        HttpMethods.IsGet(request.Method) && !request.Headers.ContainsKey("Range") && request.Headers.IfMatch.Count == 0 && request.Headers.IfUnmodifiedSince.Count == 0;

    // What is answered to a credential is for that credential alone and stands under a digest of it, unless its origin says that it is for all.
    private Question AskedBy(HttpContext context, CacheRule rule, CacheOptions options)
    {
        using var message = requests.Create(context);
        var address = Variants.AddressOf(ProxiedRequest.Of(context), rule);
        return new Question(context, rule, options, address)
        {
            Private = CredentialOf(message, rule) is { } credential ? $"{address}authorization={Hash256.Of(credential)};" : null,
        };
    }

    private static string? CredentialOf(HttpRequestMessage message, CacheRule rule)
    {
        string? found = null;
        foreach (var name in rule.Ecosystem is null ? Credentials.AsSpan(0, 1) : Credentials)
        {
            if (message.Headers.NonValidated.TryGetValues(name, out var values))
                found = $"{found}{name}: {values}\n";
        }

        return found;
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
        var freshness = Freshness.Of(record, question.Rule, time.GetUtcNow());
        if (control.Has("no-cache") || wishes.Has("no-cache"))
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
        var target = new CacheTarget(CacheKey.Of(record.Key), null);
        return await hits.TrySendAsync(question.Context, target, stored, confirmed is null ? null : new StoredRecord(confirmed));
    }

    // Owns the stored body, if there is one.
    private async Task FetchAsync(Question question, StoredBody? stored)
    {
        var context = question.Context;
        var asked = time.GetUtcNow();
        HttpResponseMessage response;
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(context.RequestAborted);
        limit.CancelAfter(limits.Silence);
        try
        {
            response = await upstream.SendAsync(Message(context, stored?.Record.Metadata), limit.Token);
        }
        catch (Exception e) when (!context.RequestAborted.IsCancellationRequested)
        {
            var error = UpstreamFailures.ToError(e, ProxiedRequest.Of(context).Target.Host);
            if (stored is null)
                await ProxyErrors.WriteAsync(context, error);
            else if (!UpstreamFailures.IsUnreachable(error) || !MayStandIn(question, stored.Record.Metadata, isAway: true))
                await RefuseAsync(context, stored, error);
            else
                await StandInAsync(question, stored, error.Reason);
            return;
        }
        catch
        {
            stored?.Release();
            throw;
        }

        if (stored is not null)
        {
            var status = (int)response.StatusCode;
            if (status == 304)
            {
                await ConfirmAsync(question, stored, response, asked);
                return;
            }

            if (status is 500 or 502 or 503 or 504 && MayStandIn(question, stored.Record.Metadata, isAway: false))
            {
                response.Dispose();
                await StandInAsync(question, stored, $"it said {status}");
                return;
            }

            stored.Release();
        }

        await PassAsync(question, response, asked, stored is null ? "fwd=uri-miss" : "fwd=stale");
    }

    private static async Task RefuseAsync(HttpContext context, StoredBody stored, ProxyError error)
    {
        stored.Release();
        await ProxyErrors.WriteAsync(context, error);
    }

    private async Task ConfirmAsync(Question question, StoredBody stored, HttpResponseMessage response, DateTimeOffset asked)
    {
        using (response)
        {
            if (ReusableAnswer.Confirms(stored.Record.Metadata, response))
            {
                var confirmed = ReusableAnswer.Confirmed(stored.Record.Metadata, response, asked, time.GetUtcNow());
                await store.UpdateAsync(stored.Entry, confirmed);
                if (await AnswerAsync(question, stored, "hit; fwd=stale; fwd-status=304", confirmed))
                    return;
            }
            else
            {
                stored.Release();
            }
        }

        // It was another's 304, or the file turned out to be altered: once more, for the whole.
        await FetchAsync(question, null);
    }

    private async Task StandInAsync(Question question, StoredBody stored, string reason)
    {
        stats.Offline();
        LogStale(stored.Record.Metadata.Key, reason);
        question.Context.Response.Headers.Warning = "111 discobot \"Revalidation Failed\"";
        if (!await AnswerAsync(question, stored, "hit; detail=stale"))
            await ProxyErrors.WriteAsync(question.Context, new ProxyError(502, "upstream_failed", $"{reason}, and what was stored is damaged."));
    }

    // RFC 5861, 4. Of a package registry that is away what was installed once can be installed again (cache.offline).
    private bool MayStandIn(Question question, EntryMetadata record, bool isAway)
    {
        var serves = isAway && question.Options.OfflineServes;
        if (serves && question.Rule.Ecosystem is not null)
            return true;
        var control = CacheControl.Of(record);
        if (control.IsStrict || control.Has("no-cache") || question.Wishes.Has("no-cache"))
            return false;
        // RFC 9111, 4.2.4: a cache that is disconnected may.
        if (serves)
            return true;
        var staleness = Freshness.Of(record, question.Rule, time.GetUtcNow()).Staleness;
        return control.Seconds("stale-if-error") >= staleness || question.Wishes.Seconds("stale-if-error") >= staleness;
    }

    private async Task PassAsync(Question question, HttpResponseMessage response, DateTimeOffset asked, string status)
    {
        var context = question.Context;
        if (await TryStoreAsync(question, response, asked) is { } fill)
        {
            context.Response.Headers["Cache-Status"] = $"Discobot; {status}; stored";
            await misses.SendAsync(context, fill);
            return;
        }

        // What its origin says is gone, or no longer wants kept, answers nobody from now on.
        if ((int)response.StatusCode is 200 or 301 or 404 or 410)
            End(question.Private ?? question.Address);
        context.Response.Headers["Cache-Status"] = $"Discobot; {status}";
        await UpstreamRelay.SendAsync(context, response, missed: true);
    }

    private async Task<Fill?> TryStoreAsync(Question question, HttpResponseMessage response, DateTimeOffset asked)
    {
        if (!ReusableAnswer.Is(response, question.Rule, question.Wishes, question.Options))
            return null;
        var client = new RequestSnapshot(question.Context);
        var address = question.Private is null || CacheControl.Of(response).IsForAll ? question.Address : question.Private;
        // Registries answer by Accept, and not all of them say so.
        var vary = ReusableAnswer.Vary(response) + (question.Rule.Ecosystem is null ? "" : ",accept,accept-encoding");
        var key = await variants.KeyForAsync(address, vary, client.Context.Request.Headers, question.Context.RequestAborted);
        var answered = time.GetUtcNow();
        var age = Freshness.InitialAge(response, asked, answered);
        var request = new FillRequest(new CacheTarget(key, null), ProxiedRequest.Of(question.Context), () => Message(client.Context, null), question.Options)
        {
            Describe = record => record with
            {
                Status = (int)response.StatusCode,
                StoredAt = answered.ToUnixTimeMilliseconds(),
                InitialAge = age,
                Headers = question.Rule.Ecosystem is null ? record.Headers : EndToEnd.Storable(record.Headers, cookies: false),
            },
        };
        return fills.Begin(request, response);
    }

    // The client's request, with the conditions of what is stored in place of the client's own.
    private HttpRequestMessage Message(HttpContext client, EntryMetadata? stored)
    {
        var message = requests.Create(client);
        if (stored is null)
            return message;
        foreach (var field in Conditions)
            message.Headers.Remove(field);
        if (stored.ETag is { } tag)
            message.Headers.TryAddWithoutValidation("If-None-Match", tag);
        if (stored.LastModified is { } modified)
            message.Headers.TryAddWithoutValidation("If-Modified-Since", modified);
        return message;
    }

    private void Refresh(Question question, StoredBody stored)
    {
        var key = stored.Entry.Key;
        if (_refreshing.TryAdd(key, true))
            _ = RefreshAsync(question with { Context = new RequestSnapshot(question.Context).Context }, stored.Entry, stored.Record.Metadata);
    }

    private async Task RefreshAsync(Question question, CacheEntry entry, EntryMetadata record)
    {
        try
        {
            var asked = time.GetUtcNow();
            using var limit = new CancellationTokenSource(limits.Silence);
            var response = await upstream.SendAsync(Message(question.Context, record), limit.Token).ConfigureAwait(ConfigureAwaitOptions.ForceYielding);
            if ((int)response.StatusCode == 304 && ReusableAnswer.Confirms(record, response))
                await store.UpdateAsync(entry, ReusableAnswer.Confirmed(record, response, asked, time.GetUtcNow()));
            else if (await TryStoreAsync(question, response, asked) is { } fill)
                await ReadThroughAsync(fill);
            else
                response.Dispose();
        }
        catch (Exception e)
        {
            LogNotRefreshed(record.Key, e.Message);
        }
        finally
        {
            _refreshing.TryRemove(entry.Key, out _);
        }
    }

    private static async Task ReadThroughAsync(Fill fill)
    {
        fill.First.Dispose();
        await fill.Completion;
    }

    /// <summary>Ends what is stored for an address.</summary>
    public void End(string address)
    {
        var (plain, names) = Variants.KeysOf(address);
        fills.Invalidate(plain.Hash);
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

        public CacheControl Wishes { get; } = CacheControl.Of(Context.Request);
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "cache answers with what was stored {Path} {Reason}")]
    private partial void LogStale(string path, string reason);

    [LoggerMessage(Level = LogLevel.Information, Message = "cache could not refresh {Path} {Reason}")]
    private partial void LogNotRefreshed(string path, string reason);
}
