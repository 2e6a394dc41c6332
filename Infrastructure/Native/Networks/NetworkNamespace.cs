namespace Discobot.Infrastructure.Native.Networks;

/// <summary>The network that this process lives in.</summary>
internal static class NetworkNamespace
{
    // linux/nsfs.h, since Linux 6.18.
    private const string Machine = "net:[4026531833]";

    // net/core/sysctl_net_core.c: a setting that there is once for all, and that is shown in the machine's own network alone.
    private const string MachineSetting = "/sys/net/core/netdev_max_backlog";

    /// <summary>Whether it is the machine's own (<c>docker run --network host</c>): rules set in it would bind everybody on the machine.</summary>
    /// <param name="proc">Where /proc is.</param>
    public static bool IsTheMachines(string proc = "/proc") =>
        File.ResolveLinkTarget($"{proc}/self/ns/net", returnFinalTarget: false)?.Name == Machine || File.Exists(proc + MachineSetting);
}
