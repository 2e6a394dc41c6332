using Discobot.Infrastructure.Wire;

namespace Discobot.Features.Cache.Revalidation;

/// <summary>What an origin says and how it is kept: at a client's request, or beside an answer that was stale a little.</summary>
internal sealed partial class Revalidator
{
    private async Task<Fill?> TryStoreAsync(Question question, HttpResponseMessage response, Moment asked)
    {
        if (!ReusableAnswer.Is(response, question.Rule, question.Wishes, question.Options))
            return null;
        var client = new RequestSnapshot(question.Context);
        var (address, vary) = (AddressFor(question, response), VaryOf(question.Rule, response));
        if (await variants.KeyForAsync(address, vary, question.Fields, question.Context.RequestAborted) is not { } key)
            return null;
        var answered = time.GetUtcNow();
        // The download may outlast the client, whose context is another's then.
        var (of, rule, named, isPacked) = (ProxiedRequest.Of(question.Context), question.Rule, question.Integrity, response.Content.Headers.NonValidated.Contains("Content-Encoding"));
        var request = new FillRequest(new CacheTarget(key, null), of, () => Message(client.Context, null), question.Options)
        {
            // A file's hash is that of what its client unpacks.
            Integrity = isPacked ? null : named,
            Stored = body =>
            {
                Stored(rule, of, isPacked ? null : named, body);
                variants.Kept(address, key);
            },
            Answers = async (fields, cancel) => await variants.KeyForAsync(address, vary, fields, cancel) == key,
            Resource = CacheKey.Of(question.Address).Hash,
            Asked = asked.Mark,
            Head = new EntryMetadata
            {
                Key = key.Text,
                Size = 0,
                Digest = default,
                StoredAt = answered.ToUnixTimeMilliseconds(),
                Kind = BodyKind.Blob,
                Status = (int)response.StatusCode,
                InitialAge = Freshness.InitialAge(response, asked.Time, answered),
                Headers = ReusableAnswer.Fields(EndToEnd.Headers(response), rule, question.IsAnonymous),
            },
        };
        if (question.Rule.IsOneOfSet && response.StatusCode == System.Net.HttpStatusCode.OK)
            sets.Note(question.Address, answered.ToUnixTimeMilliseconds());
        return fills.Begin(request, response, question.Seat?.Flight);
    }

    private static string AddressFor(Question question, HttpResponseMessage response) =>
        question.Private is null || CacheControl.Of(response).IsForAll ? question.Address : question.Private;

    private static string VaryOf(CacheRule rule, HttpResponseMessage response) => ReusableAnswer.Vary(response) + Unsaid(rule, response);

    private async Task RedirectAsync(Question question, HttpResponseMessage response, Moment asked, EntryMetadata? former)
    {
        if (!RedirectMemory.IsRedirect((int)response.StatusCode) || !ReusableAnswer.IsReadable(response))
            return;
        var request = ProxiedRequest.Of(question.Context);
        if (question.Private is null && !StorableAnswer.Forbids(response, "private") && !StorableAnswer.Forbids(response, "no-store") && ReusableAnswer.Location(response) is { } location)
            redirects.Follow(question.Rule, request, location, isStoodInFor: false);
        if (!question.Wishes.Has("no-store"))
            await redirects.KeepAsync(
                request, AddressFor(question, response), VaryOf(question.Rule, response), question.Fields, response, former, asked, question.Context.RequestAborted);
    }

    private void Stored(CacheRule rule, ProxiedRequest request, Integrity? compared, StoredBody body)
    {
        if (compared is null)
            hashes.Read(rule, request, body);
        else
            hashes.Met(body, compared);
    }

    // Registries answer by Accept, and not all of them say so. The file of a version is the same whoever asks, unless its server packed it for the way.
    private static string Unsaid(CacheRule rule, HttpResponseMessage response) =>
        rule.Ecosystem is null ? ""
        : rule.Mode != CacheMode.Immutable ? ",accept,accept-encoding"
        : response.Content.Headers.NonValidated.Contains("Content-Encoding") ? ",accept-encoding" : "";

    // The client's request, with the conditions of what is stored in place of the client's own; without any where that is known to be another: it
    // would be of no use if its origin confirmed it.
    private HttpRequestMessage Message(HttpContext client, EntryMetadata? stored, bool isAnother = false)
    {
        var message = requests.Create(client);
        if (stored is null)
            return message;
        foreach (var field in Conditions)
            message.Headers.Remove(field);
        if (isAnother)
            return message;
        if (stored.ETag is { } tag)
            message.Headers.TryAddWithoutValidation("If-None-Match", tag);
        if (stored.LastModified is { } modified)
            message.Headers.TryAddWithoutValidation("If-Modified-Since", modified);
        return message;
    }

    // Ends the probe, if it is one.
    private void Refresh(Question question, StoredBody stored, IDisposable? probe = null)
    {
        if (_refreshing.TryAdd(stored.Entry.Key, true))
            _ = RefreshAsync(question with { Context = new RequestSnapshot(question.Context).Context, Seat = null }, stored.Entry, stored.Record.Metadata, probe);
        else
            probe?.Dispose();
    }

    private async Task RefreshAsync(Question question, CacheEntry entry, EntryMetadata record, IDisposable? probe)
    {
        try
        {
            var asked = Now();
            var isInPlace = StaleAnswer.IsInPlace(record, question.Rule);
            var message = Message(question.Context, isInPlace ? null : record);
            var response = await reach.AskAsync(ProxiedRequest.Of(question.Context), message, isStoodInFor: false, CancellationToken.None);
            asked = await EndIfGoneAsync(question, response, asked);
            if (!isInPlace && (int)response.StatusCode == 304 && ReusableAnswer.Confirms(record, response))
                await KeepAsync(question, entry, response, ReusableAnswer.Confirmed(record, response, asked.Time, time.GetUtcNow()));
            else if (await TryStoreAsync(question, response, asked) is { } fill)
                await ReadThroughAsync(fill);
            else
                response.Dispose();
        }
        catch (Exception e)
        {
            LogNotRefreshed(CacheKey.AddressOf(record.Key), e.Message, ProxiedRequest.Of(question.Context).Id);
        }
        finally
        {
            _refreshing.TryRemove(entry.Key, out _);
            probe?.Dispose();
        }
    }

    private static async Task ReadThroughAsync(Fill fill)
    {
        // Whoever reads keeps it from being given up, and from waiting where nothing can be written.
        using var reader = fill.First;
        var buffer = new byte[64 << 10];
        while (await reader.WaitAsync(long.MaxValue, CancellationToken.None))
            reader.Read(buffer, long.MaxValue);
        await fill.Completion;
    }
}
