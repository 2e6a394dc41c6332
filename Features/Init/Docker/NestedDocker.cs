using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Discobot.Infrastructure.Native;

namespace Discobot.Features.Init.Docker;

/// <summary>
/// Gives containers and builds of the inner Docker the proxy and its authority: the docker client hands the proxy on, a relay makes it
/// reachable, and <see cref="NestedRuntime"/> adds the authority. Off with <c>init.nested_docker: false</c>.
/// </summary>
internal sealed class NestedDocker(Container container, ClientProxy proxy, EgressRules egress)
{
    private const int LargestFile = 1 << 20;
    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true };
    private const string SeenExecutable = "/opt/discobot/bin/discobot";

    /// <summary>Comes first on the Docker daemon's PATH. Made anew at each start, where a read-only root can be written to.</summary>
    public const string RuntimeDirectory = "/run/discobot/runtime";

    private bool _isReached;

    /// <summary>Whether nested containers get what they are to get.</summary>
    public bool IsWanted => proxy.Serves && proxy.Settings.Init.NestedDocker && proxy.Trust.Bundle is not null;

    /// <summary>Before the daemon starts.</summary>
    /// <param name="isGuarded">Then what stands before runc takes something away, too.</param>
    public void PrepareRuntime(bool isGuarded)
    {
        if (!IsWanted && !isGuarded)
            return;
        using var directory = DirectoryHandle.OpenTrusted(Directory.CreateDirectory(container.Paths.In(RuntimeDirectory)).FullName);
        directory.Remove("runc");
        directory.CreateSymlink("runc", SeenExecutable);
    }

    /// <summary>Takes away what an earlier start offered: nothing can be reached yet, and may never be.</summary>
    public void Withdraw() => Offer(null);

    /// <summary>When the daemon answers, and with it its bridge has an address.</summary>
    public void Connect()
    {
        var address = !IsWanted ? null : NestedRelay.FindAddress(egress.Uplinks);
        try
        {
            if (address is not null && !_isReached)
                container.Running.InBackground("relay for nested containers", new NestedRelay(proxy.Settings.Port).Listen(address), container.Log);
            _isReached = address is not null;
        }
        catch (SocketException error)
        {
            container.Log.Warning($"nested containers do not get the proxy: {address}:{proxy.Settings.Port}: {error.Message}");
            address = null;
        }

        Offer(address);
    }

    /// <summary>The docker client's settings with the proxy for new containers; without, when there is none. What somebody else wrote
    /// there about proxies stays.</summary>
    /// <param name="text">The file.</param>
    /// <param name="proxy">Null takes ours away.</param>
    /// <param name="direct">What goes without it, our own exceptions first.</param>
    /// <returns>Null when nothing is to be changed.</returns>
    /// <exception cref="JsonException">The text is no JSON object.</exception>
    public static string? Settings(string text, string? proxy, string direct)
    {
        var settings = string.IsNullOrWhiteSpace(text) ? [] : JsonNode.Parse(text) as JsonObject ?? throw new JsonException("not an object");
        var proxies = settings["proxies"] as JsonObject ?? [];
        if (proxies["default"] is JsonObject existing && !IsOurs(existing))
            return null;
        proxies.Remove("default");
        if (proxy is not null)
            proxies["default"] = new JsonObject { ["httpProxy"] = proxy, ["httpsProxy"] = proxy, ["noProxy"] = direct };
        settings.Remove("proxies");
        if (proxies.Count > 0)
            settings["proxies"] = proxies;
        var result = settings.Count == 0 ? "" : settings.ToJsonString(Indented) + "\n";
        return result == text ? null : result;
    }

    // By their form, since address and port may have been others: a bridge's address for both, and our exceptions first.
    private static bool IsOurs(JsonObject settings)
        => Text(settings, "httpProxy") is { } http && http == Text(settings, "httpsProxy")
            && Uri.TryCreate(http, UriKind.Absolute, out var uri) && IPAddress.TryParse(uri.Host, out _)
            && Text(settings, "noProxy").StartsWith(ProxyEnvironment.Local, StringComparison.Ordinal);

    private static string Text(JsonObject settings, string name)
        => settings[name] is JsonValue value && value.TryGetValue<string>(out var text) ? text : "";

    private void Offer(IPAddress? address)
    {
        Offer(container.Paths.Home, container.Agent.Owner, address);
        Offer(container.Paths.In("/root"), Owner.Root, address);
    }

    // The agent may rearrange its home at any time: no link is followed.
    private void Offer(string home, Owner owner, IPAddress? address)
    {
        try
        {
            using var top = DirectoryHandle.OpenTrusted(home);
            using var directory = address is null ? top.OpenChild(".docker") : top.OpenOrCreate(".docker", 0x1C0, owner);
            var old = directory?.ReadBytes("config.json", LargestFile) is { } bytes ? Encoding.UTF8.GetString(bytes) : "";
            if (directory is not null && Settings(old, address is null ? null : $"http://{address}:{proxy.Settings.Port}", ProxyEnvironment.Exceptions(container.Environment)) is { } text)
                directory.WriteBytes("config.json", Encoding.UTF8.GetBytes(text), 0x180, owner);
        }
        catch (Exception error) when (error is IOException or JsonException)
        {
            container.Log.Warning($"{home}/.docker/config.json stays as it is: {error.Message}");
        }
    }
}
