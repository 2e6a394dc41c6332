using Discobot.Infrastructure.Native;

namespace Discobot.Features.Init.Variables;

/// <summary>Lets TCP find out the largest packet by itself: nested networks often drop the messages that path MTU discovery needs (RFC 4821).</summary>
internal sealed class NetworkSettings(Container container)
{
    private static readonly string[] Names = ["ip_no_pmtu_disc", "tcp_mtu_probing"];

    public Task RunAsync(CancellationToken cancellationToken)
    {
        foreach (var name in Names)
        {
            var path = container.Paths.In($"/proc/sys/net/ipv4/{name}");
            try
            {
                if (File.Exists(path) && RegularFile.ReadAllText(path).Trim() == "0")
                    File.WriteAllText(path, "1");
            }
            catch (Exception error) when (error is IOException or UnauthorizedAccessException)
            {
                container.Log.Debug($"net.ipv4.{name} cannot be set here: {error.Message}");
            }
        }

        return Task.CompletedTask;
    }

    /// <summary>Where it cannot be set, large packets may be lost on the way and nobody be told: no fault of the container's.</summary>
    public static Finding Check(SeenContainer seen)
    {
        var path = seen.Paths.In($"/proc/sys/net/ipv4/{Names[1]}");
        var value = File.Exists(path) ? RegularFile.ReadAllText(path).Trim() : "0";
        return value == "0"
            ? SeenContainer.Absent("network settings", $"{path} cannot be set here")
            : SeenContainer.Step("network settings", true, $"{path} is {value}", "");
    }
}
