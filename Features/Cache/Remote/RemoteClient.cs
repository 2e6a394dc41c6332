using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;

namespace Discobot.Features.Cache.Remote;

/// <summary>
/// The way to the store: from this process straight to it. It is the operator's, so no rule of what may leave is asked; no proxy is used, as this is one; and
/// nothing of it is a flow that would be told of. TLS is judged by the system's roots and <c>tls.extra_ca</c>.
/// </summary>
internal sealed class RemoteClient : HttpMessageInvoker
{
    private readonly Task _trusted;

    private RemoteClient(SocketsHttpHandler handler, Task trusted) : base(handler) => _trusted = trusted;

    /// <param name="roots">Whom the store may be signed by, on their way.</param>
    public static RemoteClient Create(Task<X509Certificate2Collection> roots)
    {
        var trust = new X509ChainPolicy { TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck, DisableCertificateDownloads = true };
        var handler = new SocketsHttpHandler
        {
            UseProxy = false,
            UseCookies = false,
            AllowAutoRedirect = false,
            ActivityHeadersPropagator = null,
            ConnectTimeout = TimeSpan.FromSeconds(10),
            PooledConnectionLifetime = TimeSpan.FromMinutes(5),
            PooledConnectionIdleTimeout = TimeSpan.FromSeconds(60),
            SslOptions = { CertificateChainPolicy = trust },
        };
        return new RemoteClient(handler, LoadAsync(trust, roots));
    }

    private static async Task LoadAsync(X509ChainPolicy trust, Task<X509Certificate2Collection> roots) => trust.CustomTrustStore.AddRange(await roots);

    /// <summary>Sends a request; returns when the answer's head is here, whatever it says.</summary>
    /// <exception cref="RemoteException">There is no answer.</exception>
    public override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        try
        {
            await _trusted.WaitAsync(cancellationToken);
            return await base.SendAsync(request, cancellationToken);
        }
        catch (Exception e) when (e is HttpRequestException or SocketException or (IOException and not RemoteException))
        {
            throw new RemoteException(RemoteFailure.Unavailable, e.Message);
        }
    }
}
