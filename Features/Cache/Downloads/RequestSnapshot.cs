using Discobot.Infrastructure.Wire;

namespace Discobot.Features.Cache.Downloads;

/// <summary>A client's bodyless request, kept for a download that outlives it: the server uses its own context for the next request.</summary>
internal sealed class RequestSnapshot
{
    /// <param name="context">The client's request.</param>
    /// <param name="method">Another method, to ask the same of the same.</param>
    public RequestSnapshot(HttpContext context, string? method = null)
    {
        Context = new DefaultHttpContext();
        Context.Features.Set(ProxiedRequest.Of(context));
        Context.Features.Set(Flow.Of(context));
        var (original, copy) = (context.Request, Context.Request);
        (copy.Method, copy.Protocol, copy.Scheme) = (method ?? original.Method, original.Protocol, original.Scheme);
        foreach (var (name, values) in original.Headers)
            copy.Headers[name] = values;
        copy.Host = original.Host;
    }

    public HttpContext Context { get; }
}
