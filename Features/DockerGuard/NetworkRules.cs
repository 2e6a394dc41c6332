using System.Text.Json;

namespace Discobot.Features.DockerGuard;

/// <summary>
/// Which networks a container may have: bridges, whose traffic passes the rules of the way out. The host's network would leave them, and macvlan and
/// ipvlan sit on the uplink itself.
/// </summary>
/// <param name="hostNetworkId">The number of the network "host", by which, or by the beginning of which, it can be named too; null when unknown.</param>
internal sealed class NetworkRules(string? hostNetworkId)
{
    private static readonly HashSet<string> Harmless = new(StringComparer.OrdinalIgnoreCase)
    {
        "Name", "CheckDuplicate", "Driver", "Scope", "Internal", "Attachable", "ConfigOnly", "ConfigFrom", "IPAM", "EnableIPv4", "EnableIPv6", "Options", "Labels",
    };

    private static readonly HashSet<string> HarmlessInConnection = new(StringComparer.OrdinalIgnoreCase) { "Container", "EndpointConfig", "Force" };

    /// <summary>Why a container may not use a network.</summary>
    /// <param name="mode">As in <c>HostConfig.NetworkMode</c>.</param>
    public string? ModeRefusal(string mode) => IsHost(mode) ? $"the network {mode}, which is the host's" : null;

    /// <summary>The same for the networks of <c>NetworkingConfig</c>, and of <c>POST /networks/NAME/connect</c>.</summary>
    public string? EndpointsRefusal(JsonElement networking)
    {
        if (GoJson.Member(networking, "EndpointsConfig") is not { ValueKind: JsonValueKind.Object } endpoints)
            return null;
        return endpoints.EnumerateObject()
            .Select(e => ModeRefusal(e.Name) ?? ModeRefusal(GoJson.Text(e.Value, "NetworkID")))
            .FirstOrDefault(refusal => refusal is not null);
    }

    /// <summary>Why a container may not be connected to a network as the body says; the one in the path is judged by <see cref="ModeRefusal"/>.</summary>
    public string? ConnectionRefusal(JsonElement connection) => GoJson.Unknown(connection, HarmlessInConnection)
        ?? (GoJson.Member(connection, "EndpointConfig") is { } endpoint ? ModeRefusal(GoJson.Text(endpoint, "NetworkID")) : null);

    /// <summary>Why a network may not be made; null when it may.</summary>
    public static string? Refusal(JsonElement network)
    {
        if (GoJson.Text(network, "Scope") is not ("" or "local") and var scope)
            return $"the network scope {scope}";
        if (GoJson.Unknown(network, Harmless) is { } unknown)
            return unknown;
        if (GoJson.Text(network, "Driver") is not ("" or "bridge") and var driver)
            return $"the network driver {driver}";
        return GoJson.Member(network, "IPAM") is { } addresses && GoJson.Text(addresses, "Driver") is not ("" or "default") and var plugin
            ? $"the address driver {plugin}" : null;
    }

    private bool IsHost(string name) => name.Trim().Equals("host", StringComparison.OrdinalIgnoreCase)
        || (name.Length > 0 && hostNetworkId?.StartsWith(name, StringComparison.OrdinalIgnoreCase) == true);
}
