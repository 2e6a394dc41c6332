using System.ComponentModel;
using Discobot.Infrastructure.Native;

namespace Discobot.Features.TrustStore;

/// <summary>
/// Runs a distribution's trust tool to its end: a time limit, its output in the log. Nobody of its process group outlives it: who went on
/// writing the bundle would undo what the next one, whose turn it is then, has written.
/// </summary>
/// <param name="logger">Gets each line.</param>
/// <param name="limit">How long it may take.</param>
/// <param name="executable">Our own, by which programs are started.</param>
internal sealed class TrustTool(ILogger logger, TimeSpan limit, string executable)
{
    // These tools are scripts that run as root: they find the system's programs and libraries, not what a workspace's variables name, and no
    // TMPDIR that this container does not have.
    private static readonly Dictionary<string, string> Variables = new() { ["PATH"] = "/usr/sbin:/usr/bin:/sbin:/bin", ["HOME"] = "/root", ["LC_ALL"] = "C" };

    /// <summary>Runs it.</summary>
    /// <returns>Null when it succeeded, else what went wrong.</returns>
    public async Task<string?> RunAsync(string path, IReadOnlyList<string> arguments, CancellationToken cancellationToken)
    {
        using var spawner = new Spawner(executable);
        var name = Path.GetFileName(path);
        try
        {
            var launch = new Launch(name, [path, .. arguments]) { Environment = Variables };
            var result = await new ToolRun(spawner).RunAsync(launch, limit, line => Note(name, line), cancellationToken);
            if (result.TimedOut)
                return $"{path} was ended: it took longer than {limit.TotalSeconds:0.#} s";
            return result.Succeeded ? null : $"{path} ended with exit code {result.ExitCode}";
        }
        catch (Win32Exception e)
        {
            return $"{path} cannot be run: {e.Message}";
        }
    }

    private void Note(string name, string line)
    {
        if (!string.IsNullOrWhiteSpace(line))
            logger.LogInformation("{Tool}: {Line}", name, line);
    }
}
