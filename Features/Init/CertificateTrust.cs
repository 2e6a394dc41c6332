using Discobot.Infrastructure.Native;

namespace Discobot.Features.Init;

/// <summary>Waits for the certificate authority, gives its files to the proxy and makes the container trust it.</summary>
internal sealed class CertificateTrust(Container container)
{
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        if (container.Authority is { } authority)
            await authority.WaitAsync(cancellationToken);
        using (var certificates = DirectoryHandle.OpenTrusted(container.Paths.Certificates))
        {
            foreach (var name in certificates.Entries())
                certificates.SetOwner(name, container.ProxyOwner);
        }

        var outcome = await container.Services.InstallTrust(container.Paths.CaCertificate, cancellationToken);
        container.TrustBundle = outcome.Bundle;
        if (outcome.Trusted)
            container.Log.Info(outcome.Message);
        else
            container.Log.Warning(outcome.Message);
        if (outcome.Bundle is { } bundle && container.Proxy.Init.ExtraEnvironment && JavaOptions.HasJava(container))
        {
            container.Services.FollowBundleForJava(bundle, container.Paths.JavaTrustStore);
            container.HasJavaTrust = true;
        }
    }
}
