using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Discobot.Features.Configuration;
using Discobot.Features.Init;

namespace Discobot.Features.CommandLine;

/// <summary>
/// The proxy that a tool speaks of: that of a file it is given, else of the caller's variables, else the container's own, else the one that
/// a start here would make.
/// </summary>
/// <param name="State">Where it listens and what it keeps where.</param>
/// <param name="Sources">What its settings come from.</param>
internal sealed record ChosenProxy(ProxyState State, SettingsSources Sources)
{
    /// <summary>What the help of each tool says about it.</summary>
    public const string Variables = "$CONFIG_FILE, $PROXY_PORT, $API_PORT and $CERT_DIR count as they do for the proxy";

    /// <summary>Whether it is the one that this container's start described.</summary>
    public bool IsContainers { get; private init; }

    /// <param name="config">The configuration file that is named on the command line.</param>
    /// <exception cref="ConfigurationException">The settings that were chosen are no settings; the message tells every mistake.</exception>
    public static ChosenProxy Find(string? config = null)
    {
        var environment = SettingsSources.OfProcess().Environment;
        var paths = new ContainerPaths();
        if (config is null && ProxyState.Read(paths) is { } state)
        {
            var chosen = ProxyState.VariablesOf(environment).Where(v => state.Variables.GetValueOrDefault(v.Key) != v.Value).ToDictionary();
            if (!chosen.ContainsKey("CONFIG_FILE"))
                return Container(state, chosen, environment);
        }

        // A container without that description, or a machine that has such a file: only root and the proxy may read it.
        if (config is null && string.IsNullOrEmpty(environment.GetValueOrDefault("CONFIG_FILE")) && IsReadable(paths.ProxyConfig))
            config = paths.ProxyConfig;
        var sources = SettingsSources.OfProcess(config);
        var settings = sources.Load();
        return new ChosenProxy(Of(settings.Value ?? throw new ConfigurationException(settings.ErrorText())).State with { Config = sources.File }, sources);
    }

    /// <summary>The proxy that has these settings.</summary>
    public static ChosenProxy Of(ProxySettings settings) => new(
        new ProxyState
        {
            Port = settings.Proxy.Port,
            Api = new IPEndPoint(Reachable(settings.Api.Listen[0]), settings.Api.Port).ToString(),
            CertDir = settings.Tls.CertDir,
            CacheDir = settings.Cache.Dir,
            AuditFile = settings.Audit.Path(settings.Api.TokenFile),
            TokenFile = settings.Api.TokenFile,
            LogFile = settings.Logging.File,
            NestedDocker = settings.Init.NestedDocker,
        },
        SettingsSources.OfProcess());

    private static ChosenProxy Container(ProxyState state, Dictionary<string, string> chosen, IReadOnlyDictionary<string, string> environment)
    {
        var known = chosen.TryGetValue("API_PORT", out var apiPort)
            ? state with { Api = new IPEndPoint(IPEndPoint.Parse(state.Api).Address, Port("API_PORT", apiPort)).ToString() } : state;
        known = chosen.TryGetValue("PROXY_PORT", out var port) ? known with { Port = Port("PROXY_PORT", port) } : known;
        known = chosen.TryGetValue("CERT_DIR", out var directory) ? known with { CertDir = Path.GetFullPath(directory) } : known;
        // The start takes no notice of CERT_DIR either.
        var counts = environment.Where(v => v.Key != "CERT_DIR" || chosen.ContainsKey("CERT_DIR")).ToDictionary();
        return new ChosenProxy(known, SettingsSources.Of(state.Config, counts)) { IsContainers = !chosen.ContainsKey("API_PORT") };
    }

    private static int Port(string name, string text) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var port) && port is > 0 and < 65536
            ? port : throw new ConfigurationException($"environment: {name}: must be a whole number from 1 to 65535, not \"{text}\"");

    private static IPAddress Reachable(IPAddress listens) =>
        listens.Equals(IPAddress.Any) ? IPAddress.Loopback
        : listens.Equals(IPAddress.IPv6Any) ? (Socket.OSSupportsIPv4 ? IPAddress.Loopback : IPAddress.IPv6Loopback)
        : listens;

    private static bool IsReadable(string path)
    {
        try
        {
            using var file = File.OpenHandle(path);
            return true;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }
}

/// <summary>What chooses a proxy cannot be used: wrong usage, not a failure.</summary>
/// <param name="mistakes">One a line, each with its place.</param>
internal sealed class ConfigurationException(string mistakes) : IOException(mistakes);
