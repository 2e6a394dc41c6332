using System.Security.Cryptography;
using Discobot.Infrastructure.Native;

namespace Discobot.Features.Init;

/// <summary>Waits for the certificate authority, gives its files to the proxy and makes the container trust it.</summary>
internal sealed class CertificateTrust(Container container)
{
    // An RSA key takes a tenth of a second; whoever else makes the pair gives it up after thirty.
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);

    public async Task<ClientTrust> RunAsync(DataVolume volume, ProxySummary proxy, CancellationToken cancellationToken)
    {
        await volume.Authority.WaitAsync(Limit, cancellationToken);
        using (var certificates = DirectoryHandle.OpenTrusted(container.Paths.Certificates))
        {
            foreach (var name in certificates.Entries())
                certificates.SetOwner(name, volume.ProxyOwner);
        }

        var outcome = await container.Services.InstallTrust(container.Paths.CaCertificate, cancellationToken);
        if (outcome.Trusted)
            container.Log.Info(outcome.Message);
        else
            container.Log.Warning(outcome.Message);
        var trust = new ClientTrust
        {
            Bundle = outcome.Bundle,
            IsTheSystems = outcome.Trusted,
            Additional = outcome.Additional,
            IsForAll = outcome.IsForAll,
            HasJava = proxy.Init.ExtraEnvironment && FollowForJava(outcome.Bundle),
        };
        if (outcome.Afterwards is { } afterwards)
        {
            container.Running.InBackground("trust store's tool", async stop =>
            {
                await afterwards(stop);
                if (trust.HasJava)
                    FollowForJava(trust.Bundle);
            }, container.Log);
        }

        return trust;
    }

    private bool FollowForJava(string? bundle)
    {
        if (bundle is null || !JavaOptions.HasJava(container))
            return false;
        try
        {
            container.Services.FollowBundleForJava(bundle, container.Paths.JavaTrustStore);
            return true;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or CryptographicException)
        {
            // The others trust it all the same.
            container.Log.Warning($"Java does not trust the proxy: {error.Message}");
            return false;
        }
    }

    /// <summary>Whether there is an authority. Whether it is trusted is asked of the store itself.</summary>
    public static Finding Check(SeenContainer seen) => SeenContainer.Step("CA certificate", File.Exists(seen.Paths.CaCertificate), seen.Paths.CaCertificate, Doctor.Restart);
}

/// <summary>By what the container's clients can trust our authority.</summary>
internal sealed record ClientTrust
{
    /// <summary>The file with every authority the container trusts, ours among them; null when there is none.</summary>
    public string? Bundle { get; init; }

    /// <summary>Whether the system's own store trusts our authority.</summary>
    public bool IsTheSystems { get; init; } = true;

    /// <summary>Whether the system's own bundle can be read by others than root, the proxy among them.</summary>
    public bool IsForAll { get; init; } = true;

    /// <summary>Ours and the user's own authorities, where the user has some.</summary>
    public string? Additional { get; init; }

    /// <summary>Whether there is a Java, and a trust store for it.</summary>
    public bool HasJava { get; init; }
}
