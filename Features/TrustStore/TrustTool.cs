using System.ComponentModel;
using System.Diagnostics;

namespace Discobot.Features.TrustStore;

/// <summary>Runs a distribution's trust tool to its end: a time limit, its output in the log.</summary>
internal sealed class TrustTool(ILogger logger, TimeSpan limit)
{
    /// <summary>Runs it.</summary>
    /// <returns>Null when it succeeded, else what went wrong.</returns>
    public async Task<string?> RunAsync(string path, IReadOnlyList<string> arguments, CancellationToken cancellationToken)
    {
        using var process = new Process { StartInfo = StartInfo(path, arguments) };
        process.OutputDataReceived += (_, line) => Note(path, line.Data);
        process.ErrorDataReceived += (_, line) => Note(path, line.Data);
        try
        {
            process.Start();
        }
        catch (Win32Exception e)
        {
            return $"{path} cannot be run: {e.Message}";
        }

        process.StandardInput.Close();
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        deadline.CancelAfter(limit);
        try
        {
            await process.WaitForExitAsync(deadline.Token);
            return process.ExitCode == 0 ? null : $"{path} ended with exit code {process.ExitCode}";
        }
        catch (OperationCanceledException)
        {
            process.Kill(entireProcessTree: true);
            await LastWordsAsync(process);
            cancellationToken.ThrowIfCancellationRequested();
            return $"{path} was ended: it took longer than {limit.TotalSeconds:0.#} s";
        }
    }

    // What it printed before is on its way to the log; a process that left the tree may hold the pipe open for ever.
    private static async Task LastWordsAsync(Process process)
    {
        try
        {
            await process.WaitForExitAsync(CancellationToken.None).WaitAsync(TimeSpan.FromSeconds(1));
        }
        catch (TimeoutException)
        {
            // Then the log does without.
        }
    }

    private static ProcessStartInfo StartInfo(string path, IReadOnlyList<string> arguments)
    {
        var start = new ProcessStartInfo(path, arguments)
        {
            WorkingDirectory = "/",
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        // These tools are scripts that run as root: they find the system's programs and libraries, not what a workspace's variables name, and no
        // TMPDIR that this container does not have.
        start.Environment.Clear();
        start.Environment["PATH"] = "/usr/sbin:/usr/bin:/sbin:/bin";
        start.Environment["HOME"] = "/root";
        start.Environment["LC_ALL"] = "C";
        return start;
    }

    private void Note(string path, string? line)
    {
        if (!string.IsNullOrWhiteSpace(line))
            logger.LogInformation("{Tool}: {Line}", Path.GetFileName(path), line);
    }
}
