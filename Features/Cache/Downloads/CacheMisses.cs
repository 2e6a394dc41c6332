using Discobot.Infrastructure.Wire;

namespace Discobot.Features.Cache.Downloads;

/// <summary>Fetches what is missing: once for all who ask one address at the same time, streaming to each while it is stored.</summary>
internal sealed partial class CacheMisses(
    Fills fills, CacheStore store, CacheHits hits, CacheStats stats, UpstreamRequests requests, RedirectMemory redirects, AbsentRegistry absent,
    TimeProvider time, ILogger<CacheMisses> log)
{
    private static readonly TimeSpan Patience = JoinedReader.Patience;

    private enum Joined
    {
        Answered,
        Again,
        AskYourself,
    }

    /// <returns>False when the request has to go upstream by itself.</returns>
    public async Task<bool> TrySendAsync(HttpContext context, CacheTarget target, CacheOptions options)
    {
        if (Precondition.IsOn(context.Request))
            return false;
        var range = RangeRequest.Of(context.Request);
        if (range is not null && !range.Value.IsWhole)
            return await TryFollowAsync(context, target, options, range.Value);

        // Twice: a leader may have been refused with its own credentials, have failed, or have found the record in the meantime.
        for (var attempt = 0; attempt < 2; attempt++)
        {
            using var seat = fills.Enter(target);
            if (seat.Leads)
                return await LeadAsync(context, target, options, seat, range);
            switch (await JoinAsync(context, target, options, seat, range))
            {
                case Joined.Answered: return true;
                case Joined.AskYourself: return false;
            }
        }

        return false;
    }

    private async Task<bool> LeadAsync(HttpContext context, CacheTarget target, CacheOptions options, Flight.Seat seat, RangeRequest? range)
    {
        // It may have been stored between the look-up and now.
        if (await FindAsync(context, target) is { } body)
            return await hits.TrySendAsync(context, target, body);

        var client = new RequestSnapshot(context);
        fills.Send(seat, new FillRequest(target, ProxiedRequest.Of(context), () => Request(client.Context, target), options));
        var outcome = await seat.TakeAsync(Timeout.InfiniteTimeSpan, time, context.RequestAborted);
        if (outcome.Failure is { } failure)
        {
            if (!await absent.TryAnswerAsync(context, target, failure))
                await ProxyErrors.WriteAsync(context, UpstreamFailures.ToError(failure, ProxiedRequest.Of(context).Target.Host));
        }
        else if (outcome.Fill is { } fill)
        {
            await SendAsync(context, fill, fill.First, fill.AllHeaders, range);
        }
        else
        {
            await RelayAsync(context, target, outcome.Response!);
        }

        return true;
    }

    private async Task<Joined> JoinAsync(HttpContext context, CacheTarget target, CacheOptions options, Flight.Seat seat, RangeRequest? range)
    {
        FlightOutcome outcome;
        try
        {
            outcome = await seat.TakeAsync(Patience, time, context.RequestAborted);
        }
        catch (TimeoutException)
        {
            return Joined.AskYourself;
        }

        if (outcome.Fill is { } fill && fill.TryJoin(0) is { } reader)
        {
            if (!await BringsAsync(fill, reader, context.RequestAborted))
            {
                reader.Dispose();
                return Joined.AskYourself;
            }

            stats.Shared();
            await SendAsync(context, fill, Joining(context, target, options, fill, reader), fill.Headers, range);
            return Joined.Answered;
        }

        if (await FindAsync(context, target) is { } body && await hits.TrySendAsync(context, target, body))
            return Joined.Answered;

        // 401 and 403 judge one client's credentials; a failure is that of the leader's connection; a redirect is signed for one client, and the
        // rest is likely to be the same for all, but cheap to ask.
        return outcome.Response is null or { StatusCode: System.Net.HttpStatusCode.Unauthorized } ? Joined.Again : Joined.AskYourself;
    }

    /// <summary>Sends what somebody else downloads.</summary>
    /// <param name="context">The client's request.</param>
    /// <param name="seat">Its place among those who wait.</param>
    /// <param name="own">Puts the fields beside those of the answer, and tells how the rest is asked for, should the download bring nothing more; null when it is
    /// not what the client asked for.</param>
    /// <returns>False, with nothing sent: it brings nothing for some time, has failed, is over or is another's. Ask by yourself.</returns>
    public async Task<bool> TryJoinAsync(HttpContext context, Flight.Seat seat, Func<Fill, ValueTask<FillRequest?>> own)
    {
        FlightOutcome outcome;
        try
        {
            outcome = await seat.TakeAsync(Patience, time, context.RequestAborted);
        }
        catch (TimeoutException)
        {
            return false;
        }

        if (outcome.Fill is not { } fill || await own(fill) is not { } request || fill.TryJoin(0) is not { } reader)
            return false;
        if (!await BringsAsync(fill, reader, context.RequestAborted))
        {
            reader.Dispose();
            return false;
        }

        stats.Shared();
        await SendAsync(context, fill, new JoinedReader(reader, fill, request, time), fill.Headers, null);
        return true;
    }

    // False when the download is stalled or broken: a joiner that has sent nothing yet need not share that.
    private async Task<bool> BringsAsync(Fill fill, IBodyReader reader, CancellationToken cancel)
    {
        if (fill.SilentFor > Patience)
            return false;
        try
        {
            await reader.WaitAsync(long.MaxValue, cancel).AsTask().WaitAsync(Patience, time, cancel);
            return true;
        }
        catch (Exception e) when (e is TimeoutException or FillBrokenException)
        {
            return false;
        }
    }

    // A range further on follows a download that has reached its beginning. Ahead of it, upstream is asked for the range itself.
    private async Task<bool> TryFollowAsync(HttpContext context, CacheTarget target, CacheOptions options, RangeRequest range)
    {
        using var seat = fills.EnterExisting(target);
        if (seat is null)
            return false;
        Fill? fill;
        try
        {
            fill = (await seat.TakeAsync(Patience, time, context.RequestAborted)).Fill;
        }
        catch (TimeoutException)
        {
            return false;
        }

        var reader = range.First >= 0 && fill?.Length is { } length && range.Within(length) is not null && fill.SilentFor < Patience
            ? fill.TryJoin(range.First)
            : null;
        if (reader is null)
            return await FindAsync(context, target) is { } body && await hits.TrySendAsync(context, target, body);
        if (!IsFor(context, fill!))
        {
            reader.Dispose();
            return false;
        }

        stats.Shared();
        await SendAsync(context, fill!, Joining(context, target, options, fill!, reader), fill!.Headers, range);
        return true;
    }

    private JoinedReader Joining(HttpContext context, CacheTarget target, CacheOptions options, Fill fill, IBodyReader reader) =>
        new(reader, fill, new FillRequest(target, ProxiedRequest.Of(context), () => Request(context, target), options), time);

    private async ValueTask<StoredBody?> FindAsync(HttpContext context, CacheTarget target) =>
        target.Storable ? await store.FindAsync(target, context.RequestAborted) : null;

    private static bool IsFor(HttpContext context, Fill fill) =>
        RangeRequest.IsFor(context.Request, Field(fill, "ETag"), Field(fill, "Last-Modified"));

    private static string? Field(Fill fill, string name) =>
        fill.Headers.FirstOrDefault(h => h.Key.Equals(name, StringComparison.OrdinalIgnoreCase)).Value;

    // Authorization and the rewritten fields are those of the client that leads.
    private HttpRequestMessage Request(HttpContext client, CacheTarget target)
    {
        var message = requests.Create(client);
        message.Headers.Remove("Range");
        message.Headers.Remove("If-Range");

        // The digest is that of the bytes themselves; a coding on top of them could neither be verified nor stored.
        if (target.Digest is { IsAddress: true })
        {
            message.Headers.Remove("Accept-Encoding");
            message.Headers.TryAddWithoutValidation("Accept-Encoding", "identity");
        }

        return message;
    }

    private async Task RelayAsync(HttpContext context, CacheTarget target, HttpResponseMessage response)
    {
        if (response.IsSuccessStatusCode)
            stats.Miss();
        var location = response.Headers.NonValidated.TryGetValues("Location", out var values) ? values.ToString() : null;
        redirects.Remember(target, ProxiedRequest.Of(context), (int)response.StatusCode, location);
        await UpstreamRelay.SendAsync(context, response, missed: true);
    }

    /// <summary>Sends a download to the client that caused it.</summary>
    public Task SendAsync(HttpContext context, Fill fill) => SendAsync(context, fill, fill.First, fill.AllHeaders, null);

    private async Task SendAsync(
        HttpContext context, Fill fill, IBodyReader reader, IReadOnlyList<KeyValuePair<string, string>> headers, RangeRequest? range)
    {
        using (reader)
        {
            var end = Head(context, fill, headers, range);
            var request = ProxiedRequest.Of(context);
            if (fill.Request.Tier is null)
            {
                stats.Miss();
                LogMiss(request.Path, request.Id);
            }
            else
            {
                stats.Hit();
                LogTierHit(request.Path, request.Id);
            }

            try
            {
                stats.Served(await BodySender.SendAsync(context.Response, reader, end, context.RequestAborted));
            }
            catch (FillBrokenException e) when (!context.Response.HasStarted)
            {
                await ProxyErrors.WriteAsync(context, new ProxyError(502, "upstream_body", $"The answer was not passed on: {e.Message}."));
            }
            catch (Exception e) when (e is IOException or OperationCanceledException)
            {
                // Never a clean end: the client must see that it did not get everything.
                context.Abort();
            }
        }
    }

    private static long Head(HttpContext context, Fill fill, IReadOnlyList<KeyValuePair<string, string>> headers, RangeRequest? range)
    {
        var response = context.Response;
        EndToEnd.CopyTo(response, headers);
        response.Headers["X-Cache"] = fill.Request.Tier is null ? "MISS" : "HIT";
        Flow.Of(context)?.Cache = fill.Request.Tier is null ? FlowCache.Miss : FlowCache.Revalidated;
        response.StatusCode = fill.Status;
        if (fill.Length is not { } length)
            return long.MaxValue;
        response.ContentLength = length;
        if (range?.Within(length) is not var (from, end) || !IsFor(context, fill))
            return long.MaxValue;
        response.StatusCode = StatusCodes.Status206PartialContent;
        response.Headers.AcceptRanges = "bytes";
        response.Headers.ContentRange = $"bytes {from}-{end - 1}/{length}";
        response.ContentLength = end - from;
        return end;
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "cache miss {Path} {Id}")]
    private partial void LogMiss(string path, string id);

    [LoggerMessage(Level = LogLevel.Information, Message = "cache hit in a tier {Path} {Id}")]
    private partial void LogTierHit(string path, string id);
}
