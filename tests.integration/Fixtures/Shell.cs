using System.Diagnostics;

namespace Discobot.Integration.Fixtures;

/// <summary>Scripts as a user would type them.</summary>
internal static class Shell
{
    /// <summary>Runs a script until a command of it fails; errors are in the output too.</summary>
    public static async Task<(int Code, string Output)> RunAsync(string script, string directory = "/")
    {
        using var shell = Process.Start(new ProcessStartInfo("bash", ["-ec", $"exec 2>&1; {script}"]) { WorkingDirectory = directory, RedirectStandardOutput = true })!;
        var said = await shell.StandardOutput.ReadToEndAsync();
        await shell.WaitForExitAsync();
        return (shell.ExitCode, said);
    }
}
