using System.CommandLine;

namespace Discobot.Features.CommandLine;

/// <summary>Where commands that work on the CA look for it.</summary>
internal static class CertDirectoryOption
{
    private const string InContainers = "/.data/proxy/certs";

    public static Option<string> Create() => new("--cert-dir")
    {
        Description = $"Directory of ca.crt and ca.key. Default: $CERT_DIR, else {InContainers}.",
        HelpName = "DIR",
        DefaultValueFactory = _ => Environment.GetEnvironmentVariable("CERT_DIR") is { Length: > 0 } named ? named : InContainers,
    };
}
