using System.Net.Security;
using System.Security.Cryptography.X509Certificates;
using Discobot.Infrastructure.Hosts;
using Discobot.Infrastructure.Wire;

namespace Discobot.Features.Interception.Upstreams;

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

    /// <summary>The same for one connection.</summary>
    /// <param name="host">The name that the certificate must be for.</param>
    /// <param name="protocols">What may be spoken, the best first.</param>
    public SslClientAuthenticationOptions For(string host, List<SslApplicationProtocol> protocols) => new()
    {
        TargetHost = host,
        ApplicationProtocols = protocols,
        CertificateChainPolicy = Options.CertificateChainPolicy,
        CipherSuitesPolicy = Options.CipherSuitesPolicy,
        EnabledSslProtocols = Options.EnabledSslProtocols,
        RemoteCertificateValidationCallback = Options.RemoteCertificateValidationCallback,
    };

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
