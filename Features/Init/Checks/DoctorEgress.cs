using Discobot.Features.Egress;
using Discobot.Features.Egress.Nftables;
using Discobot.Infrastructure.Native;

namespace Discobot.Features.Init.Checks;

/// <summary>Has the agent's user try to get out past the proxy, and says of each way whether what becomes of it is what the mode promises.</summary>
/// <param name="mode">What the start says is in force; null where it has not said.</param>
/// <param name="tools">Runs the attempts.</param>
/// <param name="command">What makes them; a line each, as <see cref="TriedWay"/> writes it.</param>
/// <param name="user">The agent's; null: whoever runs the doctor.</param>
internal sealed class DoctorEgress(EgressMode? mode, ToolRun tools, IReadOnlyList<string> command, UserRecord? user)
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(20);

    // What goes where in redirect: these are led, and QUIC is refused.
    private static readonly string[] WebWays = ["TCP 80", "TCP 443", "IPv6 TCP 443", "DNS", "QUIC"];

    public async Task<IReadOnlyList<Finding>> TryAsync(CancellationToken cancellationToken)
    {
        if (mode is not { } promised)
            return [new Finding("egress", "mode", null, "the start has not told what it enforces", null)];
        var tried = new List<TriedWay>();
        var launch = new Launch("attempts", command) { User = user?.Name, DropsCapabilities = user is not null && promised == EgressMode.Enforce, NoNewPrivileges = promised == EgressMode.Enforce };
        var result = await tools.RunAsync(launch, Limit, line => { if (TriedWay.Parse(line) is { } way) tried.Add(way); }, cancellationToken);
        if (tried.Count == 0)
            return [new Finding("egress", "attempts", false, $"could not be made: exit code {result.ExitCode}", Doctor.Restart)];
        return [.. tried.Select(way => Judge(promised, way)), .. ConnectionTable.Read() is { } table ? (Finding[])[Judge(table)] : []];
    }

    /// <summary>Whether the kernel has room for new connections.</summary>
    internal static Finding Judge(ConnectionTable table) => table.IsFull
        ? new Finding("egress", "connections", false, $"the kernel's table is full, no new ones get through: {table}", ConnectionTable.Remedy)
        : new Finding("egress", "connections", true, $"the kernel has room for more: {table}", null);

    /// <summary>Whether an attempt ended as the mode promises.</summary>
    internal static Finding Judge(EgressMode mode, TriedWay way)
    {
        if (way.Outcome != Attempt.Left)
            return new Finding("egress", way.Name, true, way.Outcome == Attempt.Led ? $"led to the proxy: {way.Detail}" : $"held: {way.Detail}", null);
        var isPromised = mode == EgressMode.Enforce || (mode == EgressMode.Redirect && WebWays.Contains(way.Name));
        return isPromised
            ? new Finding("egress", way.Name, false, $"{way.Detail}, past the proxy, which egress.mode {EgressOptions.Word(mode)} is to prevent",
                "read the lines about egress in `docker logs`; " + Doctor.Restart)
            : new Finding("egress", way.Name, null, $"{way.Detail}: goes past the proxy (egress.mode {EgressOptions.Word(mode)})", null);
    }
}
