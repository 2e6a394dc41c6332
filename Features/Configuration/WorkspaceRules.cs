using System.Net;
using Discobot.Features.Audit;
using Discobot.Infrastructure.Config;
using Discobot.Infrastructure.Wire.Dialling;

namespace Discobot.Features.Configuration;

/// <summary>
/// What a configuration may not say when it comes from a workspace: that is somebody's repository, and whoever wrote it must not reach
/// files of the container, open the proxy to the network or read secrets of the proxy's own.
/// </summary>
internal static class WorkspaceRules
{
    private const string Data = DataDirectory.System;
    private static readonly string[] Reserved = [$"{Data}/certs", $"{Data}/config.yaml", $"{Data}/api.token"];

    /// <summary>Every rule that is broken, with the key and what is allowed; empty when it may be used.</summary>
    public static IEnumerable<string> Violations(ProxySettings settings)
    {
        if (settings.Tls.CertDir.TrimEnd('/') != $"{Data}/certs")
            yield return $"tls.cert_dir: must be {Data}/certs in a workspace: the container trusts that authority";
        foreach (var problem in new[] { OwnFile("cache.dir", settings.Cache.Dir), OwnFile("logging.file", settings.Logging.File) })
        {
            if (problem is not null)
                yield return problem;
        }

        if (settings.Cache.Remote != new RemoteOptions())
            yield return "cache.remote: where bodies are read from and sent to, past what may leave, is the operator's to say, in the policy";
        if (settings.Cache.Shared is not null)
            yield return "cache.shared: what is shared with other containers is the operator's to say, in the policy";
        if (settings.Audit != new AuditOptions())
            yield return "audit: what is recorded is the operator's to change";
        if (!settings.Credentials.IsEmpty)
            yield return "secrets: are the operator's to define, in the policy";
        if (!settings.Clients.IsEmpty)
            yield return "clients: are the operator's to name, in the policy";
        if (!settings.Limits.IsEmpty)
            yield return "limits: are the operator's to set, in the policy";
        if (settings.Ask != new AskOptions())
            yield return "ask: who is asked, and may answer, is the operator's to say, in the policy";
        if (settings.Egress.TrustAgent || !settings.Egress.NoNewPrivileges)
            yield return "egress: trust_agent and no_new_privs are the operator's to change";
        if (settings.Docker.Guard == false)
            yield return "docker.guard: off is the operator's to choose";
        if (settings.Api.TokenFile != $"{Data}/api.token" && OwnFile("api.token_file", settings.Api.TokenFile) is { } token)
            yield return token;
        foreach (var file in settings.Tls.ExtraCa.Where(file => !IsBelow(file, Data)))
            yield return $"tls.extra_ca: {file} is not below {Data}";
        foreach (var address in settings.Proxy.Listen.Where(a => !IPAddress.IsLoopback(a)))
            yield return $"proxy.listen: {address} is not a loopback address";
        foreach (var address in settings.Api.Listen.Where(a => !IPAddress.IsLoopback(a)))
            yield return $"api.listen: {address} is not a loopback address";
        foreach (var key in settings.Secrets().Where(s => s.Value.Source == SecretSource.File).Select(s => s.Key).Distinct())
            yield return $"{key}: a workspace cannot name files for secrets; env:NAME takes them from the container's environment";
        foreach (var (key, value) in settings.Secrets().Where(s => s.Value.Source == SecretSource.Environment && IsWithheld(s.Value.Text)))
            yield return $"{key}: {value} is the proxy's own, which no workspace may use";
    }

    /// <summary>What it asks for beyond what the operator lets be asked for.</summary>
    /// <param name="settings">The workspace's.</param>
    /// <param name="operators">Without it.</param>
    public static IEnumerable<string> Widened(ProxySettings settings, ProxySettings operators)
    {
        foreach (var type in settings.Dns.Names.Except(operators.Dns.Names, StringComparer.Ordinal))
            yield return $"dns.types: {type} is the operator's to add, in the policy";
    }

    /// <summary>With what the proxy could not even start, which ends the container under a policy: an agent would block its own next start.</summary>
    /// <param name="settings">As they would be in force.</param>
    public static IEnumerable<string> Unservable(ProxySettings settings)
    {
        var taken = new Dictionary<int, string>();
        foreach (var (key, port) in new[] { ("proxy.port", settings.Proxy.Port), ("proxy.api_port", settings.Api.Port), ("egress.port", settings.Egress.Port), ("egress.dns_port", settings.Egress.DnsPort) })
        {
            if (port > 0 && port < FirstForAll())
                yield return $"{key}: {port} is a port that only root may listen at";
            if (port > 0 && !taken.TryAdd(port, key))
                yield return $"{key}: {port} is that of {taken[port]} as well";
        }

        if (settings.Logging.File is { } file && Path.GetDirectoryName(Path.GetFullPath(file)) is { } directory && directory != Data && !Directory.Exists(directory))
            yield return $"logging.file: {directory} does not exist";
        if (settings.Logging.File is { } log && Directory.Exists(log))
            yield return $"logging.file: {log} is a directory";
    }

    // ip-sysctl.rst: engines set it to 0 in containers' networks.
    private static int FirstForAll()
    {
        const string Path = "/proc/sys/net/ipv4/ip_unprivileged_port_start";
        return File.Exists(Path) && int.TryParse(File.ReadAllText(Path), out var first) ? first : 1024;
    }

    // What init tells its proxy, the seed of all placeholders among it, and the key of the operator's collector: the agent's environment has none of them.
    private static bool IsWithheld(string variable) => variable.StartsWith("DISCOBOT_", StringComparison.Ordinal)
        || (variable.StartsWith("OTEL_EXPORTER_OTLP_", StringComparison.Ordinal) && variable.EndsWith("HEADERS", StringComparison.Ordinal));

    /// <summary>What is the operator's where the operator limits what may leave: a parent proxy is dialled whatever the allowlist says, and takes
    /// everything on from there; whom upstreams may be taken for decides who reads what is sent to them.</summary>
    /// <param name="chosen">With the workspace's text.</param>
    /// <param name="without">With the operator's alone.</param>
    public static IEnumerable<string> Detours(ProxySettings chosen, ProxySettings without)
    {
        if (WayOut(chosen) != WayOut(without))
            yield return "proxy.upstream: is the operator's to choose where a policy or enforced egress limits what may leave";
        if (!chosen.Tls.InsecureHosts.Select(h => h.Text).Order().SequenceEqual(without.Tls.InsecureHosts.Select(h => h.Text).Order()))
            yield return "tls.insecure_hosts: are the operator's to choose where a policy or enforced egress limits what may leave";
        if (!chosen.Tls.ExtraCa.Order().SequenceEqual(without.Tls.ExtraCa.Order()))
            yield return "tls.extra_ca: is the operator's to choose where a policy or enforced egress limits what may leave";
    }

    private static (bool, ParentAddress?, SecretText?) WayOut(ProxySettings settings) =>
        (settings.Proxy.UpstreamFromEnvironment, settings.Proxy.Upstream, settings.Proxy.UpstreamSecret);

    private static string? OwnFile(string key, string? path)
    {
        if (path is null)
            return null;
        if (!IsBelow(path, Data))
            return $"{key}: {path} is not below {Data}";
        return Reserved.Any(r => path.TrimEnd('/') == r || IsBelow(path, r)) ? $"{key}: {path} holds files of the proxy's own" : null;
    }

    // After the dots are taken out: "/.data/proxy/../../etc" is not below.
    private static bool IsBelow(string path, string directory)
        => Path.GetFullPath(path).StartsWith(directory + "/", StringComparison.Ordinal) && Path.GetFullPath(path).Length > directory.Length + 1;
}
