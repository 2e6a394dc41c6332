using System.Globalization;
using Discobot.Infrastructure.Native;

namespace Discobot.Features.Init.Supervision;

/// <summary>The operator's policy is read at the start. An edit counts from the next one, and who looks is told so.</summary>
internal static class PolicyEdits
{
    /// <summary>Differs when the file was written. Of its text it says nothing, as everybody reads where this is kept. Null where there is no policy.</summary>
    public static string? Written(ContainerPaths paths) => Libc.StatusOf(paths.Policy) is { } status
        ? string.Create(CultureInfo.InvariantCulture, $"{status.Modified.UtcTicks}/{status.Size}") : null;

    /// <summary>What is to be said of the policy that is there now; null where it is the one that the start has read, or this user may not see it.</summary>
    public static string? Missed(ContainerPaths paths, ProxyState state) => (state.Policy, Written(paths)) switch
    {
        (null, not null) => $"{paths.Policy} was put there after the start",
        // Who may not look into its directory cannot tell.
        (not null, null) => Libc.IsMissing(paths.Policy) ? $"{paths.Policy} was taken away after the start" : null,
        var (then, now) => then == now ? null : $"{paths.Policy} was written after the start",
    };
}
