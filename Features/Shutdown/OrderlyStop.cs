using System.Diagnostics;
using Discobot.Features.Init;
using Discobot.Infrastructure.Native;

namespace Discobot.Features.Shutdown;

/// <summary>
/// Stops the container in order: the agent first, then the proxy, which serves what Docker has in flight to its end, then Docker,
/// then whatever is left. Each gets TERM, some time, and KILL.
/// </summary>
internal sealed class OrderlyStop(InitLog log, TimeProvider time)
{
    private const int Failed = 1;
    private const int Killed = 137;
    private static readonly TimeSpan AgentLimit = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan ProxyLimit = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan DockerLimit = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan LeftoversLimit = TimeSpan.FromSeconds(1);

    /// <summary>Stops everything.</summary>
    /// <returns>The container's exit code: the agent's own; 1 when there never was one and nobody asked to stop; 137 instead of 0 when
    /// something had to be killed.</returns>
    public async Task<int> RunAsync(InitOutcome outcome)
    {
        var watch = Stopwatch.StartNew();
        var running = outcome.Running;
        log.Info(Reason(outcome));
        var budget = new StopBudget(time, outcome.StopBudget,
            [Needed(running.AgentApi, AgentLimit), Needed(running.Proxy, ProxyLimit), Needed(running.Docker, DockerLimit), LeftoversLimit]);
        var quiet = running.BeginStopAsync();
        var clean = await StopAsync(running.AgentApi, budget.For(0));
        await quiet;
        clean &= await StopAsync(running.Proxy, budget.For(1));
        if (running.Docker is not null)
            await new DockerClients(running.DockerSockets).LeaveAsync(budget.For(2) / 2);
        clean &= await StopAsync(running.Docker, budget.For(2));
        clean &= await StopAsync(running.DockerGuard, budget.For(3));
        clean &= await new Leftovers(log).StopAsync(budget.For(3));
        var code = ExitCode(outcome, clean);
        log.Info($"[{InitLog.Seconds(watch.Elapsed)}] stopped, exit code {code}");
        return code;
    }

    // What is not there leaves its share of a short budget to the others.
    private static TimeSpan Needed(ChildProcess? child, TimeSpan limit) => child is null or { Exited.IsCompleted: true } ? TimeSpan.Zero : limit;

    private static string Reason(InitOutcome outcome) => outcome switch
    {
        { AskedToStop: { } signal } => $"SIG{signal.Short()} received, stopping",
        { Running.AgentApi.Exited: { IsCompletedSuccessfully: true, Result: var code } } => $"agent-api ended with exit code {code}, stopping",
        _ => "startup failed, stopping",
    };

    private static int ExitCode(InitOutcome outcome, bool clean)
    {
        var agent = outcome.Running.AgentApi;
        var code = agent is { Exited: { IsCompletedSuccessfully: true, Result: var own } } ? own : (outcome.AskedToStop is null ? Failed : 0);
        return code == 0 && !clean ? Killed : code;
    }

    /// <summary>Ends one program and all it started that stayed in its group.</summary>
    /// <returns>False when it had to be killed.</returns>
    private async Task<bool> StopAsync(ChildProcess? child, TimeSpan limit)
    {
        if (child is null)
            return true;
        var watch = Stopwatch.StartNew();
        var asked = !child.Exited.IsCompleted;
        child.AskToEnd();
        var ended = await Task.WhenAny(child.Exited, Task.Delay(limit, time)) == child.Exited;
        if (!ended)
            log.Warning($"{child.Name} (pid={child.Id}) did not end within {InitLog.Seconds(limit)}, killing it");

        // The leader may be gone and have left its group behind.
        if (await child.KillAsync() is not { } code)
            log.Warning($"{child.Name} (pid={child.Id}) cannot be killed: the kernel waits for a device or a file system");
        else if (asked)
            log.Info($"[{InitLog.Seconds(watch.Elapsed)}] {child.Name} stopped, exit code {code}");
        return ended;
    }
}
