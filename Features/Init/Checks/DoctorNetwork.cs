using System.Diagnostics.CodeAnalysis;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Text.Json;
using Discobot.Infrastructure;

namespace Discobot.Features.Init.Checks;

/// <summary>Asks what clients cannot tell apart: whose proxy answers, and whether an answer is the server's or the proxy's own word about it.</summary>
/// <param name="paths">Where things are.</param>
/// <param name="proxy">The proxy, and what is fetched.</param>
/// <param name="suggest">A host that the allowlist names, for pages to fetch; null when it names none or may not be asked.</param>
internal sealed class DoctorNetwork(ContainerPaths paths, SeenProxy proxy, Func<CancellationToken, Task<string?>> suggest)
{
    private const string OwnError = "X-Discobot-Error";
    private const string Unknown = "proxy_authentication";
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(20);
    private static readonly TimeSpan ShortLimit = TimeSpan.FromSeconds(2);

    public async Task<IReadOnlyList<Finding>> LookAsync(CancellationToken cancellationToken)
    {
        var (upstream, code) = await UpstreamAsync(cancellationToken);
        var names = code == "blocked" ? new Finding("network", "DNS", null, "not asked: the allowlist refuses the host", null)
            : code == Unknown ? new Finding("network", "DNS", null, "not asked: nobody has been let in", null)
            : await NamesAsync(upstream.Works == true, cancellationToken);
        return [await OursAsync(cancellationToken), names, upstream, await RelayAsync(cancellationToken)];
    }

    private async Task<Finding> OursAsync(CancellationToken cancellationToken)
    {
        if (!proxy.IsContainers)
            return new Finding("port", "whose", null, "no container's", null);
        if (StartToken.Read(paths.In(StartToken.SeenFile)) is not { } token)
            return new Finding("port", "whose", null, "the start has not told whose proxy it is", null);
        var answer = await TryAsync(ShortLimit, async limit =>
        {
            using var client = new HttpClient(new SocketsHttpHandler { UseProxy = false });
            var text = await client.GetStringAsync(new Uri($"http://{proxy.State.Api}/health"), limit);
            return text.Contains(token, StringComparison.Ordinal) ? null : "the proxy that answers is another container's, which shares the network";
        }, cancellationToken);
        return new Finding("port", "whose", answer is null, answer ?? "the proxy is this container's", answer is null ? null : $"{proxy.ReadLog}; {Doctor.Restart}");
    }

    private async Task<Finding> NamesAsync(bool isReached, CancellationToken cancellationToken)
    {
        var host = new Uri(proxy.Url).IdnHost;
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
            failure is null ? null : "look at /etc/resolv.conf" + (proxy.IsContainers ? ", or start the container with --dns" : ""));
    }

    [SuppressMessage("Security", "CA5359", Justification = "Whether the proxy's certificate is trusted is the clients' affair; asked here is what lies behind it.")]
    private async Task<(Finding Found, string? Code)> UpstreamAsync(CancellationToken cancellationToken)
    {
        var detail = "";
        OwnAnswer? own = null;
        var failure = await TryAsync(Limit, async limit =>
        {
            using var handler = new SocketsHttpHandler { Proxy = new WebProxy($"http://127.0.0.1:{proxy.State.Port}"), AllowAutoRedirect = false };
            handler.SslOptions.RemoteCertificateValidationCallback = static (_, _, _, _) => true;
            using var client = new HttpClient(handler);
            client.DefaultRequestHeaders.Accept.Add(new("application/json"));
            using var response = await GetAsync(client, limit);
            if (response is null)
            {
                own = new OwnAnswer(Unknown, null);
                return "";
            }

            detail = $"{proxy.Url} answered {(int)response.StatusCode}";
            if (!response.Headers.TryGetValues(OwnError, out var code))
                return null;
            own = Read(await response.Content.ReadAsStringAsync(limit)) with { Error = string.Join(' ', code) };
            return $"{(int)response.StatusCode} is the proxy's own answer for {proxy.Url}: {own.Error}{Told(own)}";
        }, cancellationToken);
        // It is the operator who has the passwords, and the clients below bring their own.
        if (own?.Error == Unknown)
            return (new("network", "upstream", null, "not tried: the proxy asks every client for a name and password (clients, socks.users)", null), own.Error);
        if (own?.Error == "blocked")
        {
            // Most allowlists lack the usual page, and are none the worse for it.
            var host = await suggest(cancellationToken) ?? "HOST";
            var other = $"try a page that the allowlist allows: discobot doctor --url https://{host}/";
            return proxy.UrlIsNamed ? (new("network", "upstream", false, failure!, $"{other}; `discobot explain {proxy.Url}` tells which rule counts"), own.Error)
                : (new("network", "upstream", null, $"not tried: the allowlist refuses {proxy.Url}{Told(own)}; {other}", null), own.Error);
        }

        return (new("network", "upstream", failure is null, failure ?? detail, failure is null ? null : proxy.ReadLog), own?.Error);
    }

    // Null where the proxy asks who we are (RFC 9110, 15.5.8): the answer to CONNECT is known by its number alone, which the message has in quotes.
    private async Task<HttpResponseMessage?> GetAsync(HttpClient client, CancellationToken cancellationToken)
    {
        try
        {
            return await client.GetAsync(new Uri(proxy.Url), HttpCompletionOption.ResponseHeadersRead, cancellationToken);
        }
        catch (HttpRequestException error) when (error.HttpRequestError == HttpRequestError.ProxyTunnelError && error.Message.Contains("'407'", StringComparison.Ordinal))
        {
            return null;
        }
    }

    private static string Told(OwnAnswer own) =>
        (own.Rule is { } rule ? $" (rule {rule})" : "") + (own.Reason is { } reason ? $": {reason.TrimEnd('.')}" : "");

    private static OwnAnswer Read(string body)
    {
        try
        {
            return JsonSerializer.Deserialize(body, OwnAnswerJson.Default.OwnAnswer) ?? new OwnAnswer(null, null);
        }
        catch (JsonException)
        {
            return new OwnAnswer(null, body.Split('\n')[0] is { Length: > 0 and < 500 } line ? line : null);
        }
    }

    /// <summary>Whether what goes out directly is led to the proxy: then the certificate is the proxy's.</summary>
    /// <param name="issuer">The name of the proxy's authority, as certificates have it.</param>
    public async Task<bool> IsLedAsync(string issuer, CancellationToken cancellationToken)
    {
        var url = new Uri(proxy.Url);
        var seen = "";
        await TryAsync(Limit, async limit =>
        {
            using var socket = new TcpClient();
            await socket.ConnectAsync(url.DnsSafeHost, url.Scheme == "https" ? url.Port : 443, limit);
            await using var tls = new SslStream(socket.GetStream(), false, (_, certificate, _, _) =>
            {
                seen = certificate?.Issuer ?? "";
                return false;
            });
            await tls.AuthenticateAsClientAsync(new SslClientAuthenticationOptions { TargetHost = url.DnsSafeHost }, limit);
            return null;
        }, cancellationToken);
        return seen.Length > 0 && seen == issuer;
    }

    private async Task<Finding> RelayAsync(CancellationToken cancellationToken)
    {
        if (!proxy.IsContainers)
            return new Finding("network", "relay", null, "no Docker of a session here", null);
        if (NestedRelay.FindAddress([]) is not { } address)
            return new Finding("network", "relay", null, "Docker has no bridge here", null);
        if (!proxy.State.NestedDocker)
            return new Finding("network", "relay", null, "off: init.nested_docker is false", null);
        var failure = await TryAsync(ShortLimit, async limit =>
        {
            using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            await socket.ConnectAsync(new IPEndPoint(address, proxy.State.Port), limit);
            await socket.SendAsync("\x05\x01\x00"u8.ToArray(), limit);
            return await socket.ReceiveAsync(new byte[2], limit) > 0 ? null : "it leads to no proxy";
        }, cancellationToken);
        return new Finding("network", "relay", failure is null, $"{address}:{proxy.State.Port}" + (failure is null ? " leads nested containers to the proxy" : $": {failure}"),
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
        catch (Exception error) when (error is SocketException or HttpRequestException or IOException or AuthenticationException)
        {
            return error.Message;
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return $"no answer within {time.TotalSeconds} s";
        }
    }
}
