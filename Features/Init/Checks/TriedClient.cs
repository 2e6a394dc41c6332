using Discobot.Infrastructure.Native;

namespace Discobot.Features.Init.Checks;

/// <summary>A program that is tried.</summary>
/// <param name="Name">The program looked for on PATH.</param>
/// <param name="Command">What is run.</param>
internal sealed record TriedClient(string Name, string[] Command)
{
    /// <summary>How the line begins in which it tells what went wrong; its last line otherwise.</summary>
    public string? Complaint { get; init; }

    /// <summary>What a failure says that is an answer of the server.</summary>
    public string[] Answers { get; init; } = [];

    /// <summary>What it says where it cannot be tried.</summary>
    public string? Unknown { get; init; }

    /// <summary>The variable by which it finds a file of authorities.</summary>
    public string? Authorities { get; init; }

    public bool IsAnswer(string line) => Array.Exists(Answers, answer => line.Contains(answer, StringComparison.OrdinalIgnoreCase));

    /// <summary>In its own words, why it failed.</summary>
    public string ReasonIn(IReadOnlyList<string> said, ToolResult result) => result.TimedOut ? "no answer within 20 s"
        : (Complaint is { } begin ? said.FirstOrDefault(line => line.StartsWith(begin, StringComparison.Ordinal)) : null)
            ?? said.LastOrDefault(line => !string.IsNullOrWhiteSpace(line)) ?? $"exit code {result.ExitCode}";
}
