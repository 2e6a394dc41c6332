using Discobot.Infrastructure.Http1;
using Microsoft.Net.Http.Headers;

namespace Discobot.Infrastructure.Wire;

/// <summary>Makes what goes upstream of a client's request: same method, same path bytes, end-to-end fields only, then the rewriters.</summary>
internal sealed class UpstreamRequests(IEnumerable<IRequestRewriter> rewriters)
{
    private readonly IRequestRewriter[] _rewriters = [.. rewriters];

    /// <summary>The fields, Host first. No Forwarded, X-Forwarded-* or Via is added.</summary>
    public FieldList Fields(HttpContext context)
    {
        var request = context.Request;
        var fields = new FieldList();
        fields.Add(HeaderNames.Host, request.Headers.Host.ToString());
        foreach (var (name, values) in request.Headers)
        {
            if (name[0] == ':' || HopByHop.Contains(name) || name.Equals(HeaderNames.Host, StringComparison.OrdinalIgnoreCase))
                continue;
            for (var i = 0; i < values.Count; i++)
                fields.Add(name, values[i] ?? "");
        }

        foreach (var name in HopByHop.NamedBy(request.Headers.Connection))
        {
            if (!name.Equals(HeaderNames.ContentLength, StringComparison.OrdinalIgnoreCase) && !name.Equals(HeaderNames.Host, StringComparison.OrdinalIgnoreCase))
                fields.Remove(name);
        }

        var proxied = ProxiedRequest.Of(context);
        foreach (var rewriter in _rewriters)
            rewriter.Rewrite(request, proxied.Scheme, proxied.Target.Host, fields);
        return fields;
    }

    /// <summary>The message of a request without a body (the cache's GETs).</summary>
    public HttpRequestMessage Create(HttpContext context)
    {
        var message = new HttpRequestMessage(new HttpMethod(context.Request.Method), ProxiedRequest.Of(context).Uri);
        foreach (var (name, value) in Fields(context).Lines)
            message.Headers.TryAddWithoutValidation(name, value);
        return message;
    }
}
