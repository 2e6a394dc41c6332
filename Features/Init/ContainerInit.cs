using Discobot.Infrastructure.Native;

namespace Discobot.Features.Init;

/// <summary>From the first instruction of process 1 until the container has to stop. The stop itself is another feature's.</summary>
internal sealed class ContainerInit(ContainerPaths paths, InitServices services, InitLog log, Spawner spawner)
{
    /// <summary>The umask that this process was started with.</summary>
    public required uint FileMask { get; init; }

    /// <summary>Starts everything and waits until the agent ends or a stop is asked for.</summary>
    /// <param name="environment">The environment this process was started with.</param>
    /// <param name="agentArguments">For the agent-api.</param>
    /// <param name="signals">Registered before anything else.</param>
    public async Task<InitOutcome> RunAsync(
        IReadOnlyDictionary<string, string> environment, IReadOnlyList<string> agentArguments, StopSignals signals)
    {
        Environment.CurrentDirectory = paths.Root;
        if (Prepare(environment, agentArguments) is not { } container)
        {
            await HoldAsync(environment, signals);
            return new InitOutcome(new RunningProcesses(), null, InitOutcome.DefaultBudget);
        }

        signals.Receiver = container.Running;
        var outcome = new InitOutcome(container.Running, null, container.Session.StopBudget);
        try
        {
            if (!await Startup.RunAsync(Startup.Steps(container), log, patience: null, signals.Requested))
            {
                await HoldAsync(environment, signals);
                return outcome;
            }

            // No limit: the agent works for as long as it likes.
            var agent = container.Running.AgentApi!;
            await Task.WhenAny(agent.Exited, Task.Delay(Timeout.Infinite, signals.Requested));
        }
        catch (OperationCanceledException) when (signals.Requested.IsCancellationRequested)
        {
            log.Info("startup interrupted");
        }

        return outcome with { AskedToStop = signals.First, StopBudget = outcome.StopBudget - signals.Since };
    }

    private Container? Prepare(IReadOnlyDictionary<string, string> environment, IReadOnlyList<string> agentArguments)
    {
        var errors = new List<string>();
        var session = SessionOptions.Read(environment, errors);
        var user = session is null ? null : FindUser(session.AgentUser, errors);
        errors.InsertRange(0, new StartConditions(paths).Broken());
        errors.AddRange(services.OperatorErrors());
        foreach (var error in errors)
            log.Error(error);
        foreach (var ignored in session?.Ignored ?? [])
            log.Warning(ignored);
        return errors.Count > 0 || session is null || user is null
            ? null
            : new Container(paths, session, user, environment, services, log, spawner) { AgentArguments = agentArguments, FileMask = FileMask };
    }

    private UserRecord? FindUser(string name, List<string> errors)
    {
        try
        {
            if (new UserDatabase(paths.Etc).Find(name) is { } user)
                return user;
            errors.Add($"AGENT_USER {name} is not in {paths.Etc}/passwd");
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            errors.Add($"AGENT_USER {name} cannot be looked up: {error.Message}");
        }

        return null;
    }

    private async Task HoldAsync(IReadOnlyDictionary<string, string> environment, StopSignals signals)
    {
        if (environment.GetValueOrDefault("DISCOBOT_DEBUG_HOLD") != "1")
            return;
        // No limit: who asked for the hold ends it by a signal.
        log.Info("startup failed; held for inspection (DISCOBOT_DEBUG_HOLD=1) until a signal asks to stop");
        await Task.WhenAny(Task.Delay(Timeout.Infinite, signals.Requested));
    }
}

/// <summary>Why the container has to stop, and what has to be stopped.</summary>
/// <param name="Running">Everything that was started.</param>
/// <param name="AskedToStop">The signal that asked; null when the agent ended or the start failed.</param>
/// <param name="StopBudget">How long the stop may take from now on.</param>
internal sealed record InitOutcome(RunningProcesses Running, Signal? AskedToStop, TimeSpan StopBudget)
{
    public static readonly TimeSpan DefaultBudget = TimeSpan.FromSeconds(10);
}
