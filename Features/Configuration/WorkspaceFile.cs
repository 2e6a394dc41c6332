using System.Net;
using Discobot.Infrastructure.Config;

namespace Discobot.Features.Configuration;

/// <summary>
/// A configuration that comes with a workspace, that is with somebody's repository. It may say how to cache and what to inject, and may
/// not name files of this container nor open the proxy to the network.
/// </summary>
internal static class WorkspaceFile
{
    /// <summary>Reads such a text as it would run in a container.</summary>
    /// <param name="text">YAML.</param>
    /// <param name="source">What errors call it.</param>
    public static ConfigResult<ProxySettings> Read(string text, string source)
    {
        var none = new Dictionary<string, string>();
        var sources = new SettingsSources(null, none, none, DataDirectory.System);
        var read = sources.Load(ConfigDocument.Parse(text, source));
        return read.IsValid ? ConfigDocument.Parse(text, source).Read(root => Confine(root, read.Value)) : read;
    }

    private static ProxySettings Confine(ConfigNode root, ProxySettings settings)
    {
        // Reads every key again, so that each is a known one and none can be forgotten here.
        ProxySettings.Read(root, settings);
        ConfinePaths(root, settings);
        foreach (var section in (string[])["proxy", "api"])
        {
            foreach (var node in root[section]["listen"].Items().Where(n => !IPAddress.IsLoopback(IPAddress.Parse(n.AsString()!))))
                node.Error("must be a loopback address in a workspace's file, as in 127.0.0.1");
        }

        foreach (var (_, rule) in root["headers"].Entries())
        {
            ForbidFiles(rule["set"].Entries().Concat(rule["append"].Entries()).Select(e => e.Value));
            ForbidFiles(rule["conditions"].Items().Select(c => c["equals"]));
        }

        ForbidFiles(root["socks"]["users"].Entries().Select(e => e.Value));
        return settings;
    }

    private static void ConfinePaths(ConfigNode root, ProxySettings settings)
    {
        ConfigNode[] directories = [root["tls"]["cert_dir"], root["cache"]["dir"]];
        ConfigNode[] files = [root["logging"]["file"], root["api"]["token_file"], .. root["tls"]["extra_ca"].Items()];
        foreach (var node in directories.Concat(files).Where(n => !n.IsAbsent))
        {
            if (!PathRelation.IsBelow(node.AsPath()!, DataDirectory.System))
                node.Error($"must lie below {DataDirectory.System} in a workspace's file");
            else if (files.Contains(node) && IsOurs(node.AsPath()!, settings))
                node.Error("must not be the proxy's configuration, nor lie among its certificates or its cache, in a workspace's file");
        }
    }

    // What is written to or read from there would be the CA's key, a cached body, or the configuration itself.
    private static bool IsOurs(string path, ProxySettings settings) =>
        path == Path.Combine(DataDirectory.System, "config.yaml")
        || PathRelation.Overlap(path, settings.Tls.CertDir)
        || PathRelation.Overlap(path, settings.Cache.Dir);

    // The proxy can read files that the workspace must not: its token, the CA's key. A header would carry them to a host of its choice.
    private static void ForbidFiles(IEnumerable<ConfigNode> values)
    {
        foreach (var node in values.Where(n => n.AsSecret() is { Source: SecretSource.File }))
            node.Error("must not name a file in a workspace's file; env:NAME takes it from the container's environment");
    }
}
