using System.CommandLine;
using Discobot.Features.Configuration;

namespace Discobot.Features.CommandLine;

/// <summary>Where commands that work on the CA look for it.</summary>
internal static class CertDirectoryOption
{
    public static Option<string> Create() => new("--cert-dir")
    {
        Description = "Directory of ca.crt and ca.key (tls.cert_dir). Default: $CERT_DIR, else certs in the data directory.",
        HelpName = "DIR",
        DefaultValueFactory = _ => Find(),
    };

    private static string Find()
    {
        var sources = SettingsSources.OfProcess();
        return sources.Environment.TryGetValue("CERT_DIR", out var named) && named.Length > 0
            ? named
            : Path.Combine(sources.DataDirectory, "certs");
    }
}
