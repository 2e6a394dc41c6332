using Microsoft.Net.Http.Headers;

namespace Discobot.Infrastructure.Wire;

/// <summary>Makes the upstream message of a client's request: same method, same path bytes, end-to-end fields only, then the rewriters.</summary>
internal sealed class UpstreamRequests(IEnumerable<IRequestRewriter> rewriters)
{
    private readonly IRequestRewriter[] _rewriters = [.. rewriters];

    /// <summary>For requests without a body (the cache's GETs). No Forwarded, X-Forwarded-* or Via is added.</summary>
    public HttpRequestMessage Create(HttpContext context)
    {
        var message = new HttpRequestMessage(new HttpMethod(context.Request.Method), (Uri?)null);
        foreach (var (name, values) in context.Request.Headers)
        {
            if (name[0] != ':' && !HopByHop.Contains(name))
                message.Headers.TryAddWithoutValidation(name, (IEnumerable<string>)values!);
        }

        Finish(context, message);
        return message;
    }

    /// <summary>Gives a message whose headers were copied already its address, Host and rewritten headers.</summary>
    public void Finish(HttpContext context, HttpRequestMessage message)
    {
        message.RequestUri = ProxiedRequest.Of(context).Uri;
        message.Headers.Host = context.Request.Host.Value;
        foreach (var name in HopByHop.NamedBy(context.Request.Headers.Connection))
        {
            message.Headers.Remove(name);
            if (!name.Equals(HeaderNames.ContentLength, StringComparison.OrdinalIgnoreCase))
                message.Content?.Headers.Remove(name);
        }

        foreach (var rewriter in _rewriters)
            rewriter.Rewrite(context.Request, message);
    }
}
