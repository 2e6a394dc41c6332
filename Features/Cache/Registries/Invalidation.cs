using Discobot.Features.Cache.Revalidation;
using Discobot.Infrastructure;
using Discobot.Infrastructure.Wire;

namespace Discobot.Features.Cache.Registries;

/// <summary>
/// Ends what is stored for an address when a request has changed what is there (RFC 9111, 4.4): DELETE, PUT, POST, PATCH and methods that nobody
/// knows, once their origin has not refused them; and for the addresses on the same origin that the answer names.
/// </summary>
internal sealed class Invalidation(CacheStore store, Fills fills, StaleTags tags, Live<CacheRules> rules)
{
    /// <summary>Looks at the answer before its head is sent: whoever has it must not meet the old state afterwards.</summary>
    public void Watch(HttpContext context)
    {
        var method = context.Request.Method;
        if (!Methods.IsOptions(method) && !HttpMethods.IsTrace(method) && !Methods.IsConnect(method))
            context.Response.OnStarting(() => Apply(context));
    }

    private Task Apply(HttpContext context)
    {
        var (request, response) = (ProxiedRequest.Of(context), context.Response);
        if (response.StatusCode is < 200 or >= 400)
            return Task.CompletedTask;
        List<CacheKey> stored = [];
        End(request, stored);
        foreach (var path in PackageWrites.Changes(request.Path))
            End(new ProxiedRequest { Id = request.Id, Scheme = request.Scheme, Target = request.Target, PathAndQuery = path }, stored);
        foreach (var location in response.Headers.Location.Concat(response.Headers["Content-Location"]))
        {
            if (location is not null && RedirectMemory.TryResolve(request, location, out var uri)
                && (uri.Scheme, uri.IdnHost.Trim('[', ']'), uri.Port) == (request.Scheme, request.Target.Host, request.Target.Port))
                End(new ProxiedRequest { Id = request.Id, Scheme = request.Scheme, Target = request.Target, PathAndQuery = uri.PathAndQuery }, stored);
        }

        // Files are deleted, which may take its time, and the thread that calls is one that sockets wait for.
        return stored.Count == 0 ? Task.CompletedTask : Task.Run(() => store.Invalidate([.. stored]));
    }

    // What is under way is ended at once; what is stored is added to the list.
    private void End(ProxiedRequest request, List<CacheKey> stored)
    {
        var key = CacheRules.KeyOf(request);
        fills.Invalidate(key.Hash);
        var address = Variants.AddressOf(request, rules.Value.RuleOf(request, null));
        var (plain, names) = Variants.KeysOf(address);
        fills.Invalidate(plain.Hash);
        var tag = StaleTags.KeyOf(request);
        fills.Invalidate(tag.Hash);
        tags.StopAwaiting(tag);
        foreach (var one in (ReadOnlySpan<CacheKey>)[plain, names, Variants.PrivatesOf(address), key, CacheRules.FormerKeyOf(request), tag])
        {
            if (store.Knows(one))
                stored.Add(one);
        }
    }
}
