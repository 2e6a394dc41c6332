namespace Discobot.Features.Init;

/// <summary>What the failure of a step means.</summary>
internal enum OnFailure
{
    /// <summary>The container cannot do its work: stop what was started and end with exit code 1.</summary>
    Fatal,

    /// <summary>Say so and go on without.</summary>
    Warn,
}

/// <summary>One step of the start-up.</summary>
/// <param name="name">For the log.</param>
/// <param name="onFailure">What becomes of the start when it throws.</param>
/// <param name="needs">Steps above it without which it is not run.</param>
/// <param name="run">Does it.</param>
internal class StartupStep(string name, OnFailure onFailure, IReadOnlyList<StartupStep> needs, Func<CancellationToken, Task> run)
{
    public string Name { get; } = name;

    public OnFailure OnFailure { get; } = onFailure;

    public IReadOnlyList<StartupStep> Needs { get; } = needs;

    public virtual Task RunAsync(CancellationToken cancellationToken) => run(cancellationToken);
}

/// <summary>A step that finds something out for those below it.</summary>
/// <param name="name">As above.</param>
/// <param name="onFailure">As above.</param>
/// <param name="needs">As above.</param>
/// <param name="run">Does it, and says what it found.</param>
/// <param name="otherwise">What those below get when it failed or was not run; null where they are not run then.</param>
internal sealed class StartupStep<T>(
    string name, OnFailure onFailure, IReadOnlyList<StartupStep> needs, Func<CancellationToken, Task<T>> run, Func<T>? otherwise = null)
    : StartupStep(name, onFailure, needs, run)
    where T : class
{
    private readonly Func<CancellationToken, Task<T>> _run = run;
    private T? _found;

    /// <summary>What it found. Read by the steps below it, when they run.</summary>
    public T Result => _found ??= (otherwise ?? throw new InvalidOperationException($"{Name} has not run"))();

    public override async Task RunAsync(CancellationToken cancellationToken) => _found = await _run(cancellationToken);
}

/// <summary>A step failed in a way that its message explains completely.</summary>
internal sealed class StartupException(string message) : Exception(message)
{
    /// <summary>Whether the container must not run without the step, whatever the table says of it.</summary>
    public bool IsFatal { get; init; }
}
