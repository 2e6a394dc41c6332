using Discobot.Infrastructure.Wire;

namespace Discobot.Features.Cache;

/// <summary>Fetches what is missing: once for all who ask for it at the same time, streaming to each while it is stored.</summary>
internal sealed partial class CacheMisses(
    Fills fills, CacheStore store, CacheHits hits, CacheStats stats, UpstreamRequests requests, RedirectMemory redirects, ILogger<CacheMisses> log)
{
    /// <returns>False when the request has to go upstream by itself.</returns>
    public async Task<bool> TrySendAsync(HttpContext context, CacheTarget target, CacheOptions options)
    {
        if (!target.Storable || Precondition.IsOn(context.Request))
            return false;
        var range = RangeRequest.Of(context.Request);
        if (range is not null && !range.Value.IsWhole)
            return await TryFollowAsync(context, target, range.Value);

        // Twice: a leader may have been refused with its own credentials, or have found the entry in the meantime.
        for (var attempt = 0; attempt < 2; attempt++)
        {
            var (flight, leads) = fills.Enter(target);
            if (leads ? await LeadAsync(context, target, options, flight, range) : await JoinAsync(context, target, flight, range))
                return true;
            if (leads || !MayTryAgain(flight))
                return false;
        }

        return false;
    }

    private async Task<bool> LeadAsync(HttpContext context, CacheTarget target, CacheOptions options, Flight flight, RangeRequest? range)
    {
        // It may have been stored between the look-up and now.
        if (await store.FindAsync(target, context.RequestAborted) is { } body)
        {
            fills.Withdraw(flight);
            flight.Leave();
            return await hits.TrySendAsync(context, target, body);
        }

        fills.Send(flight, target, Request(context, target), options);
        var outcome = await WaitAsync(flight, context, leads: true);
        flight.Leave();
        if (outcome.Failure is not null)
            await FailAsync(context, outcome.Failure);
        else if (outcome.Fill is { } fill)
            await SendAsync(context, fill, fill.First, fill.AllHeaders, range);
        else
            await RelayAsync(context, target, outcome.Response!);
        return true;
    }

    private async Task<bool> JoinAsync(HttpContext context, CacheTarget target, Flight flight, RangeRequest? range)
    {
        var outcome = await WaitAsync(flight, context, leads: false);
        var reader = outcome.Fill?.TryJoin(0);
        flight.Leave();
        if (reader is not null)
        {
            stats.Shared();
            await SendAsync(context, outcome.Fill!, reader, outcome.Fill!.Headers, range);
            return true;
        }

        if (outcome.Failure is not null)
        {
            await FailAsync(context, outcome.Failure);
            return true;
        }

        return await store.FindAsync(target, context.RequestAborted) is { } body && await hits.TrySendAsync(context, target, body);
    }

    // A range further on follows a download that has reached its beginning. Ahead of it, upstream is asked for the range itself.
    private async Task<bool> TryFollowAsync(HttpContext context, CacheTarget target, RangeRequest range)
    {
        if (fills.EnterExisting(target) is not { } flight)
            return false;
        var outcome = await WaitAsync(flight, context, leads: false);
        var reader = range.First >= 0 && outcome.Fill?.Length is { } length && range.Within(length) is not null
            ? outcome.Fill.TryJoin(range.First)
            : null;
        flight.Leave();
        if (reader is null)
            return await store.FindAsync(target, context.RequestAborted) is { } body && await hits.TrySendAsync(context, target, body);
        if (!IsFor(context, outcome.Fill!))
        {
            reader.Dispose();
            return false;
        }

        stats.Shared();
        await SendAsync(context, outcome.Fill!, reader, outcome.Fill!.Headers, range);
        return true;
    }

    private static async Task<FlightOutcome> WaitAsync(Flight flight, HttpContext context, bool leads)
    {
        try
        {
            return await flight.Outcome.WaitAsync(context.RequestAborted);
        }
        catch (OperationCanceledException)
        {
            flight.Leave(untaken: leads);
            throw;
        }
    }

    // 401 and 403 judge one client's credentials; a redirect is signed for one client; the rest is likely to be the same for all, but cheap to ask.
    private static bool MayTryAgain(Flight flight) => flight.Outcome.Result.Response is null or { StatusCode: System.Net.HttpStatusCode.Unauthorized };

    private static bool IsFor(HttpContext context, Fill fill) =>
        RangeRequest.IsFor(context.Request, Field(fill, "ETag"), Field(fill, "Last-Modified"));

    private static string? Field(Fill fill, string name) =>
        fill.Headers.FirstOrDefault(h => h.Key.Equals(name, StringComparison.OrdinalIgnoreCase)).Value;

    // Authorization and the rewritten fields are those of the client that leads.
    private HttpRequestMessage Request(HttpContext context, CacheTarget target)
    {
        var message = requests.Create(context);
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

    private static Task FailAsync(HttpContext context, Exception failure) =>
        ProxyErrors.WriteAsync(context, UpstreamFailures.ToError(failure, ProxiedRequest.Of(context).Target.Host));
}
