using System.Net.Security;

namespace Discobot.Infrastructure.Wire.Trust;

/// <summary>Gives the certificate with which the proxy answers for a host. The seam between interception and the certificates feature.</summary>
internal interface ILeafSource
{
    /// <param name="host">A normalized name or an IP literal without brackets.</param>
    /// <returns>At once for hosts seen lately; otherwise when the certificate is minted.</returns>
    ValueTask<SslStreamCertificateContext> GetAsync(string host, CancellationToken cancellation);
}
