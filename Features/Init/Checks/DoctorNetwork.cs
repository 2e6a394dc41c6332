using System.Diagnostics.CodeAnalysis;
using System.Net;
using System.Net.Sockets;
using Discobot.Infrastructure;

namespace Discobot.Features.Init.Checks;

/// <summary>Asks what clients cannot tell apart: whose proxy answers, and whether an answer is the server's or the proxy's own word about it.</summary>
/// <param name="paths">Where things are.</param>
/// <param name="proxy">The ports it has to serve.</param>
/// <param name="url">What is fetched.</param>
internal sealed class DoctorNetwork(ContainerPaths paths, ProxySummary proxy, string url)
{
    private const string OwnError = "X-Discobot-Error";
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(20);
    private static readonly TimeSpan ShortLimit = TimeSpan.FromSeconds(2);

    public async Task<IReadOnlyList<Finding>> LookAsync(CancellationToken cancellationToken)
    {
        var upstream = await UpstreamAsync(cancellationToken);
        return [await OursAsync(cancellationToken), await NamesAsync(upstream.Works == true, cancellationToken), upstream, await RelayAsync(cancellationToken)];
    }

    private async Task<Finding> OursAsync(CancellationToken cancellationToken)
    {
        if (StartToken.Read(paths.In(StartToken.SeenFile)) is not { } token)
            return new Finding("port", "whose", null, "the start has not told whose proxy it is", null);
        var answer = await TryAsync(ShortLimit, async limit =>
        {
            using var client = new HttpClient(new SocketsHttpHandler { UseProxy = false });
            var text = await client.GetStringAsync(new Uri($"http://127.0.0.1:{proxy.ApiPort}/health"), limit);
            return text.Contains(token, StringComparison.Ordinal) ? null : "the proxy that answers is another container's, which shares the network";
        }, cancellationToken);
        return new Finding("port", "whose", answer is null, answer ?? "the proxy is this container's", answer is null ? null : "read the proxy's lines in `docker logs`; " + Doctor.Restart);
    }

    private async Task<Finding> NamesAsync(bool isReached, CancellationToken cancellationToken)
    {
        var host = new Uri(url).IdnHost;
        if (IPAddress.TryParse(host, out _))
            return new Finding("network", "DNS", null, $"{host} is an address", null);
        var failure = await TryAsync(ShortLimit, async limit =>
        {
            await Dns.GetHostAddressesAsync(host, limit);
            return null;
        }, cancellationToken);
        // A parent proxy looks names up itself.
        if (failure is not null && isReached)
            return new Finding("network", "DNS", null, $"{host}: {failure}; the proxy reaches it all the same", null);
        return new Finding("network", "DNS", failure is null, failure is null ? $"{host} has an address" : $"{host}: {failure}",
            failure is null ? null : "look at /etc/resolv.conf, or start the container with --dns");
    }

    [SuppressMessage("Security", "CA5359", Justification = "Whether the proxy's certificate is trusted is the clients' affair; asked here is what lies behind it.")]
    private async Task<Finding> UpstreamAsync(CancellationToken cancellationToken)
    {
        var detail = "";
        var failure = await TryAsync(Limit, async limit =>
        {
            using var handler = new SocketsHttpHandler { Proxy = new WebProxy($"http://127.0.0.1:{proxy.Port}"), AllowAutoRedirect = false };
            handler.SslOptions.RemoteCertificateValidationCallback = static (_, _, _, _) => true;
            using var client = new HttpClient(handler);
            using var response = await client.GetAsync(new Uri(url), HttpCompletionOption.ResponseHeadersRead, limit);
            detail = $"{url} answered {(int)response.StatusCode}";
            return response.Headers.TryGetValues(OwnError, out var code)
                ? $"{(int)response.StatusCode} is the proxy's own answer for {url}: {string.Join(' ', code)}"
                : null;
        }, cancellationToken);
        return new Finding("network", "upstream", failure is null, failure ?? detail, failure is null ? null : "read the proxy's lines in `docker logs`; `discobot explain` tells which rule counts");
    }

    private async Task<Finding> RelayAsync(CancellationToken cancellationToken)
    {
        if (NestedRelay.FindAddress() is not { } address)
            return new Finding("network", "relay", null, "Docker has no bridge here", null);
        if (!proxy.Init.NestedDocker)
            return new Finding("network", "relay", null, "off: init.nested_docker is false", null);
        var failure = await TryAsync(ShortLimit, async limit =>
        {
            using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            await socket.ConnectAsync(new IPEndPoint(address, proxy.Port), limit);
            await socket.SendAsync("\x05\x01\x00"u8.ToArray(), limit);
            return await socket.ReceiveAsync(new byte[2], limit) > 0 ? null : "it leads to no proxy";
        }, cancellationToken);
        return new Finding("network", "relay", failure is null, $"{address}:{proxy.Port}" + (failure is null ? " leads nested containers to the proxy" : $": {failure}"),
            failure is null ? null : "the proxy or the Docker daemon came up late: " + Doctor.Restart);
    }

    private static async Task<string?> TryAsync(TimeSpan time, Func<CancellationToken, Task<string?>> ask, CancellationToken cancellationToken)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(time);
        try
        {
            return await ask(limit.Token).WaitAsync(limit.Token);
        }
        catch (Exception error) when (error is SocketException or HttpRequestException or IOException)
        {
            return error.Message;
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return $"no answer within {time.TotalSeconds} s";
        }
    }
}
