using Discobot.Features.Allowlist;
using Discobot.Features.Headers;
using Discobot.Infrastructure;
using Discobot.Infrastructure.Config;

namespace Discobot.Features.Configuration;

/// <summary>
/// Changes the settings of the running proxy: from its file, on SIGHUP, through the API. A change is taken whole or, with every reason in
/// the log, not at all. The rules in force are replaced by one assignment, so there is no moment without an allowlist.
/// </summary>
internal sealed class LiveConfiguration(
    Live<ProxySettings> settings, SettingsSources sources, ConfigurationMetrics metrics, ILogger<LiveConfiguration> log)
{
    // Taken first by whoever reads the file, which may lie on a file system that hangs: the API goes on meanwhile.
    private readonly Lock _reading = new();
    private readonly Lock _gate = new();
    private string _seen = settings.Value.Fingerprint;

    /// <summary>What is in force.</summary>
    public ProxySettings Running => settings.Value;

    /// <summary>Reads all sources again, as SIGHUP asks for, also when the file is the same: it takes back what the API changed.</summary>
    public ConfigResult<ProxySettings> Reload()
    {
        lock (_reading)
        {
            var document = sources.Open();
            lock (_gate)
                return Take(document);
        }
    }

    /// <summary>Reads the file again if its content is not what was last read, good or bad.</summary>
    public void ReloadIfChanged()
    {
        lock (_reading)
        {
            var document = sources.Open();
            lock (_gate)
            {
                if (document.Fingerprint != _seen)
                    Take(document);
            }
        }
    }

    /// <summary>Changes the allowlist and the headers by a JSON body with these two sections; one that is not named stays.</summary>
    /// <param name="json">UTF-8, at most 1 MiB.</param>
    /// <param name="merge">
    /// False (POST): a named section is replaced whole. True (PATCH): keys that are not named stay, and null removes a host's headers.
    /// </param>
    /// <returns>What is in force now, or every mistake; then nothing has changed.</returns>
    public ConfigResult<ProxySettings> Apply(ReadOnlySpan<byte> json, bool merge)
    {
        var document = ConfigDocument.ParseJson(json, "request body");
        lock (_gate)
        {
            var running = settings.Value;
            var result = document.Read(root => running with
            {
                Allowlist = ReadAllowlist(root["allowlist"], running.Allowlist, merge),
                Headers = merge ? running.Headers.Merge(root["headers"]) : HeaderOptions.Read(root["headers"], running.Headers),
            });
            metrics.Count("api", result.IsValid);
            if (!result.IsValid)
                return result;
            settings.Replace(result.Value);
            log.LogInformation("configuration changed by the API");
            return result;
        }
    }

    private static AllowlistOptions ReadAllowlist(ConfigNode section, AllowlistOptions running, bool merge) =>
        section.IsAbsent ? running : AllowlistOptions.Read(section, merge ? running : null);

    private ConfigResult<ProxySettings> Take(ConfigDocument document)
    {
        _seen = document.Fingerprint;
        var result = sources.Load(document);
        metrics.Count("file", result.IsValid);
        if (!result.IsValid)
        {
            foreach (var error in result.Errors)
                log.LogError("configuration error {Error}", error.ToString());
            log.LogError("configuration rejected, the running one stays errors={Errors}", result.Errors.Length);
            return result;
        }

        foreach (var key in RestartKeys.Changed(settings.Value, result.Value))
            log.LogWarning("configuration change needs a restart key={Key}", key);
        settings.Replace(RestartKeys.Merge(settings.Value, result.Value));
        log.LogInformation("configuration reloaded file={File}", sources.File ?? "none");
        return result;
    }
}
