using Discobot.Infrastructure.Wire;

namespace Discobot.Features.Cache.Revalidation;

/// <summary>Asks an origin, and what becomes of its answer: it confirms what is stored, is stored, or is passed on; and what is stored stands in for it.</summary>
internal sealed partial class Revalidator
{
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

            if (status is 500 or 502 or 503 or 504 && await MayStandInAsync(question, stored.Record.Metadata, status == 500 ? Trouble.Failing : Trouble.Unavailable))
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
        var keepsHead = question.Private is null && HeadAnswers.AreKept(context.Request, question.Rule);
        var isHead = keepsHead && stored is null;
        if (isHead)
            stored = await heads.FindAsync(question.Address, context.RequestAborted);
        if (await TrySendAsync(question, stored, () => requests.Create(context)) is not { } response)
        {
            // How long the document is, nobody knows.
            if (isHead && context.Response is { HasStarted: false, ContentLength: 0 })
                context.Response.ContentLength = null;
            return;
        }

        var former = stored?.Record.Metadata;
        stored?.Release();
        try
        {
            if (keepsHead)
                heads.Keep(question.Address, response, former is not null, asked);
            await RedirectAsync(question, response, asked, former);
        }
        catch
        {
            response.Dispose();
            throw;
        }

        await UpstreamRelay.SendAsync(context, response, missed: false);
    }

    // Null: the client has its answer, and what is stored has been sent or released.
    private async Task<HttpResponseMessage?> TrySendAsync(Question question, StoredBody? stored, Func<HttpRequestMessage> message)
    {
        var (context, request) = (question.Context, ProxiedRequest.Of(question.Context));
        var isStoodInFor = stored is not null && await MayStandInAsync(question, stored.Record.Metadata, Trouble.Away);
        // Documents that belong together are not stood in for where there is a connection.
        var maySilent = !isStoodInFor || !await MayStandInAsync(question, stored!.Record.Metadata, Trouble.BrokenOff);
        if (isStoodInFor && (reach.IsAway(request) || (!maySilent && reach.IsSilent(request))))
        {
            await StandInAsync(question, stored!, reach.IsAway(request) ? OriginReach.WasAway : OriginReach.WasSilent);
            return null;
        }

        try
        {
            var response = await reach.AskAsync(request, message(), isStoodInFor, maySilent, context.RequestAborted);
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
            else if (!UpstreamFailures.IsUnreachable(error) || !await MayStandInAsync(question, stored.Record.Metadata, ConnectionFailure.Is(e) ? Trouble.Away : Trouble.BrokenOff))
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
                var confirmed = ReusableAnswer.Confirmed(For(question, stored), response, asked.Time, time.GetUtcNow());
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
            await Task.Run(() => EndAsync(question));
        else
            await store.UpdateAsync(entry, confirmed with { Headers = ReusableAnswer.Fields(confirmed.Headers, question.Rule, question.IsAnonymous) });
    }

    private async Task StandInAsync(Question question, StoredBody stored, string reason)
    {
        question.Seat?.Dispose();
        var record = stored.Record.Metadata;
        if (StaleAnswer.IsRedirect(record, question.Rule) && question.Private is null)
            redirects.Follow(question.Rule, ProxiedRequest.Of(question.Context), record.Header("Location")!, isStoodInFor: true);
        // Whether it is back is found out beside the answers, by one request at a time.
        if ((reach.IsAway(ProxiedRequest.Of(question.Context)) || reach.IsSilent(ProxiedRequest.Of(question.Context))) && reach.TryProbe(ProxiedRequest.Of(question.Context)) is { } probe)
            Refresh(question, stored, probe);
        stats.Offline();
        LogStale(CacheKey.AddressOf(record.Key), reason, ProxiedRequest.Of(question.Context).Id);
        Flow.Of(question.Context)?.Cache = FlowCache.Stale;
        question.Context.Response.Headers.Warning = "111 discobot \"Revalidation Failed\"";
        if (!await AnswerAsync(question, stored, "hit; detail=stale"))
            await ProxyErrors.WriteAsync(question.Context, new ProxyError(502, "upstream_failed", $"{reason}, and what was stored is damaged."));
    }

    private async ValueTask<bool> MayStandInAsync(Question question, EntryMetadata record, Trouble trouble) =>
        StaleAnswer.MayStandIn(record, question.Rule, question.Wishes, question.Options.OfflineServes, trouble, time.GetUtcNow())
        && (trouble == Trouble.Away || !question.Rule.IsOneOfSet || !sets.IsOvertaken(question.Address, record.StoredAt))
        && (!StaleAnswer.IsRedirect(record, question.Rule) || await redirects.LeadsToStoredAsync(
            ProxiedRequest.Of(question.Context), record, question.Credential, question.Context.RequestAborted));

    private async Task PassAsync(Question question, HttpResponseMessage response, Moment asked, EntryMetadata? former)
    {
        var (context, status) = (question.Context, former is null ? "fwd=uri-miss" : "fwd=stale");
        asked = await EndIfGoneAsync(question, response, asked);
        Fill? fill;
        try
        {
            fill = await TryStoreAsync(question, response, asked);
            if (fill is null)
            {
                question.Seat?.Dispose();
                await ForgetAsync(question, response, asked, former);
            }
        }
        catch
        {
            // Until it is handed on the answer is ours: its connection waits for whoever reads it.
            response.Dispose();
            throw;
        }

        if (fill is not null)
        {
            question.Seat?.Begun(fill);
            context.Response.Headers["Cache-Status"] = $"Discobot; {status}; stored";
            await misses.SendAsync(context, fill);
            return;
        }

        context.Response.Headers["Cache-Status"] = $"Discobot; {status}";
        await UpstreamRelay.SendAsync(context, response, missed: true);
    }

    // What is not stored leaves at most its redirect. What its origin no longer wants kept, answers nobody from now on.
    private async Task ForgetAsync(Question question, HttpResponseMessage response, Moment asked, EntryMetadata? former)
    {
        if (question.Rule.Ecosystem is not null && RedirectMemory.IsRedirect((int)response.StatusCode))
            await RedirectAsync(question, response, asked, former);
        else if ((int)response.StatusCode is 200 or 301)
            await EndAsync(question);
    }

    // What its origin says is gone answers nobody from now on, to whatever variant of the question it says so. Its saying so is of the state after that.
    private async ValueTask<Moment> EndIfGoneAsync(Question question, HttpResponseMessage response, Moment asked)
    {
        if ((int)response.StatusCode is not (404 or 410))
            return asked;
        var isCurrent = !fills.HasChanged(CacheKey.Of(question.Address).Hash, asked.Mark);
        await EndAsync(question, question.Seat?.Flight);
        return isCurrent ? asked with { Mark = fills.Now() } : asked;
    }

    // What was answered to the question's credential, or to those without; other credentials' may hold.
    private async ValueTask EndAsync(Question question, Flight? own = null)
    {
        if (await variants.KeysOfAsync(question.Private ?? question.Address, CancellationToken.None) is not var (plain, names))
            return;
        fills.Invalidate(plain.Hash, own);
        store.Invalidate(plain, names);
    }
}
