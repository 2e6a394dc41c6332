using System.Diagnostics;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Discobot.Infrastructure.Hosts;
using Discobot.Infrastructure.Wire;

namespace Discobot.Features.Interception;

/// <summary>The way out: one pooled client for all hosts. Nothing is followed, decoded, stored or added; TLS is always verified.</summary>
internal sealed class Upstream : IUpstream, IDisposable
{
    private readonly Dialer _dialer;
    private readonly OpenTraffic _traffic;
    private readonly ParentProxies _parents;
    private readonly UpstreamTrust _trust;

    public Upstream(Dialer dialer, OpenTraffic traffic, ParentProxies parents, UpstreamTrust trust)
    {
        (_dialer, _traffic, _parents, _trust) = (dialer, traffic, parents, trust);
        var handler = CreateHandler();
        Invoker = new HttpMessageInvoker(parents.Any ? new ParentForwarding(dialer, parents, handler) : handler);
    }

    /// <summary>For the forwarder.</summary>
    public HttpMessageInvoker Invoker { get; }

    /// <inheritdoc/>
    public Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellation) =>
        Invoker.SendAsync(request, cancellation);

    public void Dispose() => Invoker.Dispose();

    private SocketsHttpHandler CreateHandler() => new()
    {
        // Never the process's own choice: HTTP_PROXY of the container names us. Tunnels through a parent are made below, when connecting.
        UseProxy = _parents.Any,
        Proxy = new ParentForwarding.Route(_parents),
        AllowAutoRedirect = false,
        AutomaticDecompression = DecompressionMethods.None,
        UseCookies = false,
        ActivityHeadersPropagator = DistributedContextPropagator.CreateNoOutputPropagator(),
        ConnectCallback = ConnectAsync,
        SslOptions = _trust.Options,
        ConnectTimeout = TimeSpan.FromSeconds(15),
        EnableMultipleHttp2Connections = true,
        InitialHttp2StreamWindowSize = 1024 * 1024,
        MaxResponseHeadersLength = 64,
        // Names move: a pooled connection is not kept beyond the usual DNS lifetimes.
        PooledConnectionLifetime = TimeSpan.FromMinutes(10),
        PooledConnectionIdleTimeout = TimeSpan.FromSeconds(60),
        // A 100-continue that never comes must not hold the body back for ever (RFC 9110, 10.1.1).
        Expect100ContinueTimeout = TimeSpan.FromSeconds(3),
        // Field values are opaque octets (RFC 9110, 5.5).
        RequestHeaderEncodingSelector = static (_, _) => Encoding.Latin1,
        ResponseHeaderEncodingSelector = static (_, _) => Encoding.Latin1,
    };

    private async ValueTask<Stream> ConnectAsync(SocketsHttpConnectionContext context, CancellationToken cancellation)
    {
        var address = context.InitialRequestMessage.RequestUri!;
        if (_parents.ForwarderOf(address) is { } parent)
            return _traffic.Share(await _dialer.ConnectToParentAsync(parent, cancellation));
        var target = new ConnectTarget(ConnectTarget.Normalize(context.DnsEndPoint.Host), context.DnsEndPoint.Port);
        var stream = _traffic.Watch(target, await _dialer.ConnectAsync(target, address.Scheme, cancellation));
        if (address.Scheme != Uri.UriSchemeHttps)
            return stream;
        await _trust.Loaded.WaitAsync(cancellation);
        return new ReadAheadStream(stream);
    }
}

/// <summary>How upstream certificates are judged: against the distribution's roots and <c>tls.extra_ca</c>.</summary>
internal sealed partial class UpstreamTrust
{
    private readonly HostSet _insecure;
    private readonly ILogger<UpstreamTrust> _log;

    /// <param name="roots">The trusted roots, on their way.</param>
    /// <param name="insecure">Hosts whose certificate is not looked at (<c>tls.insecure_hosts</c>).</param>
    /// <param name="log">Told who is not verified.</param>
    public UpstreamTrust(Task<X509Certificate2Collection> roots, IReadOnlyCollection<HostPattern> insecure, ILogger<UpstreamTrust> log)
    {
        (_insecure, _log) = (new HostSet(insecure), log);
        foreach (var pattern in insecure)
            LogInsecure(pattern);
        var policy = new X509ChainPolicy
        {
            TrustMode = X509ChainTrustMode.CustomRootTrust,
            RevocationMode = X509RevocationMode.NoCheck,
            // Missing intermediates are the server's mistake; fetching them would be traffic nobody asked for.
            DisableCertificateDownloads = true,
        };
        Loaded = LoadAsync(policy, roots);
        Options = new SslClientAuthenticationOptions
        {
            CertificateChainPolicy = policy,
#pragma warning disable CA5359 // It does not accept everything: it throws, so that the client learns which check failed.
            RemoteCertificateValidationCallback = Validate,
#pragma warning restore CA5359
        };
    }

    /// <summary>For connections that are verified once <see cref="Loaded"/> is complete; nobody is trusted before.</summary>
    public SslClientAuthenticationOptions Options { get; }

    public Task Loaded { get; }

    private static async Task LoadAsync(X509ChainPolicy policy, Task<X509Certificate2Collection> roots) =>
        policy.CustomTrustStore.AddRange(await roots);

    [LoggerMessage(Level = LogLevel.Warning, Message = "upstreams not verified {Host}")]
    private partial void LogInsecure(HostPattern host);

    private bool Validate(object sender, X509Certificate? certificate, X509Chain? chain, SslPolicyErrors errors)
    {
        if (errors == SslPolicyErrors.None)
            return true;
        var host = ((SslStream)sender).TargetHostName;
        if (_insecure.Contains(host))
            return true;
        if (errors == SslPolicyErrors.RemoteCertificateChainErrors && TrustAnchors.Reaches(chain!, chain!.ChainPolicy.CustomTrustStore, DateTime.Now))
            return true;
        throw new UpstreamCertificateException($"The certificate of {host} was refused: {Describe(certificate, chain, errors)}. "
            + "If the host has a private CA, name it, or the CA that issued the certificate, in tls.extra_ca.");
    }

    private static string Describe(X509Certificate? certificate, X509Chain? chain, SslPolicyErrors errors)
    {
        if (certificate is null || errors.HasFlag(SslPolicyErrors.RemoteCertificateNotAvailable))
            return "the server sent none";
        var findings = new List<string>();
        if (errors.HasFlag(SslPolicyErrors.RemoteCertificateNameMismatch))
            findings.Add($"it is for another name ({certificate.Subject})");
        foreach (var status in chain?.ChainStatus ?? [])
            findings.Add(Describe(status, (X509Certificate2)certificate, chain!.ChainElements[^1].Certificate.Issuer));
        return string.Join("; ", findings.Distinct());
    }

    private static string Describe(X509ChainStatus status, X509Certificate2 leaf, string issuer) => status.Status switch
    {
        X509ChainStatusFlags.NotTimeValid => $"it is not valid now (valid {leaf.NotBefore:yyyy-MM-dd} to {leaf.NotAfter:yyyy-MM-dd})",
        X509ChainStatusFlags.UntrustedRoot when leaf.Subject == leaf.Issuer => "it is self-signed",
        X509ChainStatusFlags.UntrustedRoot => "its root is not trusted",
        X509ChainStatusFlags.PartialChain => $"its issuer is not known ({issuer}: neither trusted nor sent by the server)",
        _ => $"{status.Status}: {status.StatusInformation.TrimEnd('.')}",
    };
}
