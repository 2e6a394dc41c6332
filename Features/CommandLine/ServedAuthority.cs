using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Discobot.Features.Api;

namespace Discobot.Features.CommandLine;

/// <summary>The authority that a running proxy signs with: after <c>ca rotate</c> its file holds another until it is restarted.</summary>
internal static class ServedAuthority
{
    /// <summary>Null where nobody answers, or no such thing.</summary>
    public static async Task<X509Certificate2?> AskAsync(Uri api, TimeSpan time, CancellationToken cancellation)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        limit.CancelAfter(time);
        try
        {
            using var handler = new SocketsHttpHandler { UseProxy = false, AllowAutoRedirect = false };
            using var client = new HttpClient(handler) { MaxResponseContentBufferSize = 64 * 1024 };
            return X509Certificate2.CreateFromPem(await client.GetStringAsync(new Uri(api, AuthorityEndpoint.Path), limit.Token));
        }
        catch (Exception error) when (error is HttpRequestException or IOException or CryptographicException
            || (error is OperationCanceledException && !cancellation.IsCancellationRequested))
        {
            return null;
        }
    }
}
