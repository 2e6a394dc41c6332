using System.Net;
using System.Net.Sockets;
using Discobot.Infrastructure.Hosts;

namespace Discobot.Infrastructure.Wire.Dialling;

/// <summary>
/// Resolves names as the system does (its hosts file, its name servers). getaddrinfo(3) blocks for as long as a name server is silent, so names
/// that get no answer must not hold up others: see <see cref="BlockingCalls{T}"/>.
/// </summary>
internal sealed class NameLookups(Func<string, IPAddress[]>? resolve = null, TimeProvider? time = null)
{
    /// <summary>So many names may go unanswered at a time, each zone's by its share of them, before others have to wait. Their stacks are all they take.</summary>
    private const int MaxThreads = 256;

    /// <summary>The resolver's own default is 5 s a server, asked twice (resolv.conf(5)): a second server still gets its turn. Shorter than what
    /// those who dial allow for the whole of it, so that they say that it was the name which got no answer, and not its host.</summary>
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(12);

    private readonly BlockingCalls<IPAddress[]> _calls = new("names", MaxThreads, Limit, resolve ?? Dns.GetHostAddresses, time, NameZone.Of);

    /// <param name="name">A name; literals are not given to the resolver.</param>
    /// <param name="cancellation">The caller's limit.</param>
    /// <exception cref="SocketException">The name is not known, or (<see cref="SocketError.TryAgain"/>) no name server answered in time.</exception>
    public async Task<IPAddress[]> ResolveAsync(string name, CancellationToken cancellation)
    {
        try
        {
            return await _calls.RunAsync(name, cancellation);
        }
        catch (Exception e) when (e is TimeoutException || (e is OperationCanceledException && !cancellation.IsCancellationRequested))
        {
            throw new SocketException((int)SocketError.TryAgain);
        }
    }
}
