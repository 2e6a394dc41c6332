using Discobot.Infrastructure.Native;

namespace Discobot.Features.Init;

/// <summary>Waits for the certificate authority, gives its files to the proxy and makes the container trust it.</summary>
internal sealed class CertificateTrust(Container container)
{
    // An RSA key takes a tenth of a second; whoever else makes the pair gives it up after thirty.
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);

    public async Task RunAsync(CancellationToken cancellationToken)
    {
        if (container.Authority is { } authority)
            await authority.WaitAsync(Limit, cancellationToken);
        using (var certificates = DirectoryHandle.OpenTrusted(container.Paths.Certificates))
        {
            foreach (var name in certificates.Entries())
                certificates.SetOwner(name, container.ProxyOwner);
        }

        var outcome = await container.Services.InstallTrust(container.Paths.CaCertificate, cancellationToken);
        container.TrustBundle = outcome.Bundle;
        container.SystemTrusts = outcome.Trusted;
        container.AdditionalAuthorities = outcome.Additional;
        if (outcome.Trusted)
            container.Log.Info(outcome.Message);
        else
            container.Log.Warning(outcome.Message);
        FollowForJava();
        if (outcome.Afterwards is { } afterwards)
        {
            container.Running.InBackground("trust store's tool", async stop =>
            {
                await afterwards(stop);
                FollowForJava();
            }, container.Log);
        }
    }

    private void FollowForJava()
    {
        if (container.TrustBundle is not { } bundle || !container.Proxy.Init.ExtraEnvironment || !JavaOptions.HasJava(container))
            return;
        container.Services.FollowBundleForJava(bundle, container.Paths.JavaTrustStore);
        container.HasJavaTrust = true;
    }
}
