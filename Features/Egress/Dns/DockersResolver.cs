using System.Net;

namespace Discobot.Features.Egress.Dns;

/// <summary>Docker's own resolver, in a container's network: at 127.0.0.11, as resolv.conf says, with its own servers in a comment since Docker 26.</summary>
internal static class DockersResolver
{
    private const string Address = "127.0.0.11";
    private const string Servers = "# ExtServers: [";

    /// <summary>Which servers it asks from within the container's network. Those that it asks from its own are not among them.</summary>
    /// <returns>Null where it is not used; empty where it does not tell.</returns>
    public static IReadOnlyList<IPAddress>? Asks(IReadOnlyCollection<string> resolvConf)
    {
        if (!resolvConf.Any(line => line.Split((char[])[' ', '\t'], StringSplitOptions.RemoveEmptyEntries) is ["nameserver", Address, ..]))
            return null;
        var told = resolvConf.FirstOrDefault(line => line.StartsWith(Servers, StringComparison.Ordinal) && line.EndsWith(']'));
        if (told is null)
            return [];
        var words = told[Servers.Length..^1].Split(' ', StringSplitOptions.RemoveEmptyEntries);
        var servers = words.Select(word => IPAddress.TryParse(word, out var server) ? server : null).OfType<IPAddress>().ToArray();
        return servers.Length > 0 ? servers : null;
    }
}
