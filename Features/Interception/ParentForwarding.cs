using System.Net;
using Discobot.Infrastructure.Wire;

namespace Discobot.Features.Interception;

/// <summary>
/// Plain HTTP through an HTTP parent proxy goes in absolute-form, as browsers and curl send it: many parents refuse CONNECT to ports other
/// than 443. WebSockets over plain HTTP are tunnelled all the same (RFC 6455, 4.1): they would not survive the parent's own HTTP.
/// </summary>
internal sealed class ParentForwarding(Dialer dialer, ParentProxies parents, HttpMessageHandler inner) : DelegatingHandler(inner)
{
    protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        if (parents.ForwarderOf(request.RequestUri!) is not { } parent)
            return await base.SendAsync(request, cancellationToken);
        if (request.Headers.Upgrade.Count > 0)
        {
            request.RequestUri = new Uri("ws" + request.RequestUri!.OriginalString["http".Length..], ProxiedRequest.AsSent);
            return await base.SendAsync(request, cancellationToken);
        }

        await dialer.JudgeBehindParentAsync(ParentProxies.TargetOf(request.RequestUri!), cancellationToken);
        if (ParentTunnel.Authorization(parent) is { } authorization)
            request.Headers.TryAddWithoutValidation("Proxy-Authorization", authorization);
        var response = await base.SendAsync(request, cancellationToken);
        if (response.StatusCode != HttpStatusCode.ProxyAuthenticationRequired)
            return response;
        // Meant for us, not for the client, which could do nothing about it.
        response.Dispose();
        throw new HttpRequestException("The parent proxy refused us.", ParentProxyException.Unauthorized(parent));
    }

    /// <summary>Tells the HTTP stack which requests go in absolute-form.</summary>
    internal sealed class Route(ParentProxies parents) : IWebProxy
    {
        public ICredentials? Credentials { get => null; set => throw new NotSupportedException(); }

        public Uri? GetProxy(Uri destination) => parents.ForwarderOf(destination) is { } parent ? new Uri($"http://{parent.Target}") : null;

        public bool IsBypassed(Uri host) => parents.ForwarderOf(host) is null;
    }
}
