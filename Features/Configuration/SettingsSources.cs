using System.Collections;
using Discobot.Features.Egress;
using Discobot.Infrastructure.Config;
using Discobot.Infrastructure.Logging;

namespace Discobot.Features.Configuration;

/// <summary>Everything settings come from, kept to be read again: command line over environment over file over default.</summary>
/// <param name="File">The configuration file; null: none is read.</param>
/// <param name="Environment">Variables by name; an empty one counts as not set.</param>
/// <param name="Options">Values of the command line's options by their names, such as <c>--port</c>.</param>
/// <param name="DataDirectory">Where paths lie that nothing names.</param>
internal sealed record SettingsSources(
    string? File,
    IReadOnlyDictionary<string, string> Environment,
    IReadOnlyDictionary<string, string> Options,
    string DataDirectory)
{
    private static readonly Overlay[] Overlays =
    [
        new("PROXY_PORT", "--port", (all, n) => all with { Proxy = all.Proxy with { Port = n.AsInt(all.Proxy.Port, 1, 65535) } }),
        new("API_PORT", "--api-port", (all, n) => all with { Api = all.Api with { Port = n.AsInt(all.Api.Port, 1, 65535) } }),
        new("CERT_DIR", "--cert-dir", (all, n) => all with { Tls = all.Tls with { CertDir = n.AsPath(all.Tls.CertDir) } }),
        new("LOG_LEVEL", "--log-level", (all, n) =>
            all with { Logging = all.Logging with { Level = LoggingOptions.ReadLevel(n, all.Logging.Level) } }),
        new("LOG_FORMAT", "--log-format", (all, n) =>
            all with { Logging = all.Logging with { Format = LoggingOptions.ReadFormat(n, all.Logging.Format) } }),
        new("LOG_FILE", "--log-file", (all, n) => all with { Logging = all.Logging with { File = n.AsPath(all.Logging.File) } }),
        new("", "--listen", (all, n) => all with { Gateway = all.Gateway with { Listen = GatewayOptions.ReadListen(n, all.Gateway.Listen) } }),
        new("", "--ports", (all, n) => all with { Gateway = all.Gateway with { Ports = GatewayOptions.ReadPorts(n, all.Gateway.Ports) } }),
        new("", "--dns-port", (all, n) => all with { Gateway = all.Gateway with { DnsPort = n.AsInt(all.Gateway.DnsPort, 1, 65535) } }),
        new("", "--routed", (all, n) => all with { Gateway = all.Gateway with { Routed = n.AsBool(all.Gateway.Routed) } }),
        new("DISCOBOT_EGRESS", "--egress", (all, n) => all with { Egress = all.Egress with { Mode = EgressOptions.ReadMode(n, all.Egress.Mode) } }),
    ];

    /// <summary>The sources of this process.</summary>
    /// <param name="file">From the command line; null: CONFIG_FILE names it, or there is none.</param>
    /// <param name="options">Values of <c>--port</c>, <c>--api-port</c>, <c>--cert-dir</c>, <c>--log-level</c>, <c>--log-format</c>, <c>--log-file</c>.</param>
    public static SettingsSources OfProcess(string? file = null, IReadOnlyDictionary<string, string>? options = null)
    {
        var environment = System.Environment.GetEnvironmentVariables().Cast<DictionaryEntry>()
            .ToDictionary(e => (string)e.Key, e => (string?)e.Value ?? "", StringComparer.Ordinal);
        return Of(file, environment, options);
    }

    public static SettingsSources Of(
        string? file, IReadOnlyDictionary<string, string> environment, IReadOnlyDictionary<string, string>? options = null)
    {
        var named = file ?? (environment.GetValueOrDefault("CONFIG_FILE") is { Length: > 0 } path ? path : null);
        return new SettingsSources(
            named is null ? null : Path.GetFullPath(named),
            environment,
            options ?? new Dictionary<string, string>(),
            Configuration.DataDirectory.Find(environment));
    }

    /// <summary>Reads the file and lays the other sources over it.</summary>
    public ConfigResult<ProxySettings> Load(FileChecks files = FileChecks.None) => Load(Open(), files);

    /// <summary>Reads the file as it is now.</summary>
    public ConfigDocument Open() => File is null ? ConfigDocument.Empty("built-in default") : ConfigDocument.Load(File);

    /// <summary>Makes settings of a text that was read already.</summary>
    /// <param name="document">The text.</param>
    /// <param name="files">How far the files that it names are looked at.</param>
    public ConfigResult<ProxySettings> Load(ConfigDocument document, FileChecks files = FileChecks.None) => document.Read(root =>
    {
        var settings = ProxySettings.Read(root, ProxySettings.Default(DataDirectory));
        var (certDir, logFile) = (root["tls"]["cert_dir"], root["logging"]["file"]);
        foreach (var overlay in Overlays)
        {
            ConfigNode? above = null;
            if (Environment.TryGetValue(overlay.Variable, out var variable) && variable.Length > 0)
                settings = overlay.Apply(settings, above = root.Beside(variable, "environment", overlay.Variable));
            if (Options.TryGetValue(overlay.Option, out var option))
                settings = overlay.Apply(settings, above = root.Beside(option, "command line", overlay.Option));
            if (above is not null && overlay.Variable == "CERT_DIR")
                certDir = above;
            else if (above is not null && overlay.Variable == "LOG_FILE")
                logFile = above;
        }

        CheckNames(root, settings);
        if (settings.Proxy.Port == settings.Api.Port)
            root["proxy"]["api_port"].Error($"must differ from proxy.port; both are {settings.Api.Port}");
        if (PathRelation.Overlap(settings.Cache.Dir, settings.Tls.CertDir))
        {
            root["cache"]["dir"].Error(
                $"must not hold or lie in tls.cert_dir, {settings.Tls.CertDir}: clearing the cache would remove the CA");
        }

        if (settings.Cache.Shared is { } shared)
        {
            foreach (var (key, path) in new[] { ("cache.dir", settings.Cache.Dir), ("tls.cert_dir", settings.Tls.CertDir) })
            {
                if (PathRelation.Overlap(shared, path))
                    root["cache"]["shared"].Error($"must not hold or lie in {key}, {path}: that is this container's own");
            }
        }

        if (files != FileChecks.None)
            NamedFiles.CheckForStart(root, certDir, logFile, settings, files);
        if (files == FileChecks.All)
            NamedFiles.CheckForUse(root, certDir, logFile, settings);
        return settings with { Fingerprint = document.Fingerprint, WrittenSecrets = [.. WrittenSecret.Of(root).Select(found => new SecretPlace(found.Node.Path, found.Node.Place, found.Secret, found.Use))] };
    });

    // A name that nobody has opens nothing, and is probably mistyped.
    private static void CheckNames(ConfigNode root, ProxySettings settings)
    {
        var names = settings.Users.Select(user => user.Name).ToHashSet(StringComparer.Ordinal);
        foreach (var (name, node) in root["socks"]["users"].Entries())
        {
            if (settings.Clients.Users.Any(user => user.Name == name))
                node.Error("is one of clients as well; write it in one place");
        }

        var lists = root["allowlist"]["domains"].Items().Concat(root["secrets"].Entries().Select(entry => entry.Value)).Where(node => node.IsMapping).Select(node => node["clients"]);
        foreach (var item in lists.SelectMany(list => list.Items()))
        {
            if (item.Written is { } name && name != ProxyUsers.Unnamed && !names.Contains(name))
                item.Error($"neither clients nor socks.users has the name {ConfigPath.Quote(name)}{NearestWord.Suggestion(name, [.. names])}");
        }
    }

    /// <param name="Variable">Empty where there is none.</param>
    private sealed record Overlay(string Variable, string Option, Func<ProxySettings, ConfigNode, ProxySettings> Apply);
}
