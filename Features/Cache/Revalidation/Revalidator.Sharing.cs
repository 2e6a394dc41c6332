using System.Globalization;
using Discobot.Infrastructure.Wire;

namespace Discobot.Features.Cache.Revalidation;

/// <summary>Many who ask for one thing at once cause one download, as of a blob.</summary>
internal sealed partial class Revalidator
{
    // Null for who is not to be given what was asked for before he came, and for a condition of the client's own, which may make the answer a small one.
    private Flight.Seat? Enter(Question question)
    {
        var fields = question.Context.Request.Headers;
        // What somebody was sent to is judged by its own host for each: by the signature, which the address that counts does not have. And of other addresses
        // than package registries' nobody knows before the answer whether it may be shared.
        if (question.Rule.IsRedirected || question.Rule.Ecosystem is null || question.Wishes.Has("no-cache") || question.Wishes.Has("no-store") || Precondition.IsOn(question.Context.Request))
            return null;
        // Registries answer by these; what else counts is known with the answer.
        var alike = $"{question.Private ?? question.Address}flight:{fields.Accept}\n{fields.AcceptEncoding}";
        return fills.Enter(Hash256.Of(alike), CacheKey.Of(question.Address).Hash);
    }

    // Releases what is stored if the client has its answer, or is gone. Tells of a download that is right for it, which may be over before it can be joined.
    private async Task<bool> TryJoinAsync(Question question, Flight.Seat seat, StoredBody? stored, Action<EntryMetadata> found)
    {
        var hasAnswer = true;
        try
        {
            return hasAnswer = await misses.TryJoinAsync(question.Context, seat, fill => OwnAsync(question, seat, fill, found));
        }
        finally
        {
            if (hasAnswer)
                stored?.Release();
            else
                question.Context.Response.Headers.Remove("Age");
        }
    }

    // An answer that is no older than the question is right for whoever asks a package registry; else as for one that is stored (RFC 9111, 4).
    private async ValueTask<FillRequest?> OwnAsync(Question question, Flight.Seat seat, Fill fill, Action<EntryMetadata> found)
    {
        var context = question.Context;
        if (fill.Request is not { Head: { } head, Answers: { } answers } || !await answers(question.Fields, context.RequestAborted)
            || !(seat.IsEarly || Judge(question, head) == Verdict.Answer))
            return null;
        found(head);
        context.Response.Headers.Age = Freshness.Of(head, question.Rule, time.GetUtcNow()).Age.ToString(CultureInfo.InvariantCulture);
        context.Response.Headers["Cache-Status"] = "Discobot; fwd=uri-miss; collapsed";
        return new FillRequest(fill.Target, ProxiedRequest.Of(context), () => Message(context, null), question.Options);
    }
}

/// <summary>When an origin was asked.</summary>
/// <param name="Time">By the clock.</param>
/// <param name="Mark">By that of the changes that pass here (<see cref="Fills.Now"/>).</param>
internal readonly record struct Moment(DateTimeOffset Time, long Mark);
