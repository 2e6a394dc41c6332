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
/// <param name="Name">For the log.</param>
/// <param name="OnFailure">What becomes of the start when it throws.</param>
/// <param name="Needs">Steps above it without which it is not run.</param>
/// <param name="RunAsync">Does it.</param>
internal sealed record StartupStep(string Name, OnFailure OnFailure, string[] Needs, Func<CancellationToken, Task> RunAsync);

/// <summary>A step failed in a way that its message explains completely.</summary>
internal sealed class StartupException(string message) : Exception(message)
{
    /// <summary>Whether the container must not run without the step, whatever the table says of it.</summary>
    public bool IsFatal { get; init; }
}
