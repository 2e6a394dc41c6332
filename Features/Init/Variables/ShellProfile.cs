using System.Text;
using System.Text.RegularExpressions;
using Discobot.Infrastructure.Native;

namespace Discobot.Features.Init.Variables;

/// <summary>Gives the proxy's variables to shells that are not our children: logins and <c>docker exec</c>.</summary>
internal sealed partial class ShellProfile(Container container)
{
    private const string FileName = "discobot-proxy.sh";
    private const string SeenFile = "/etc/profile.d/" + FileName;
    private static readonly string[] Interactive = ["/etc/bash.bashrc", "/etc/bash/bashrc", "/etc/bashrc", "/etc/zsh/zshenv", "/etc/zshenv"];

    private string ProfileDirectory => container.Paths.In("/etc/profile.d");

    /// <summary>Writes the variables for login shells, and has the start-up files of other shells read them.</summary>
    public void Write(IReadOnlyList<KeyValuePair<string, string>> variables)
    {
        IReadOnlyList<string> exports = [.. variables.Select(v => $"export {v.Key}={Quote(v.Value)}")];
        if (Directory.Exists(ProfileDirectory))
        {
            var text = "# Written by discobot at each start of the container: the HTTP proxy's environment.\n" + string.Join('\n', exports) + "\n";
            using var directory = DirectoryHandle.OpenTrusted(ProfileDirectory);
            directory.WriteBytes(FileName, Encoding.UTF8.GetBytes(text), 0x1A4 /* 0644 */, new Owner(Libc.GetUser(), Libc.GetUserGroup()));
            Every(container.Paths.In("/etc/profile"), []);
            EveryInteractive([$"[ -r {SeenFile} ] && . {SeenFile}"]);
        }
        else if (File.Exists(container.Paths.In("/etc/profile")))
        {
            Every(container.Paths.In("/etc/profile"), exports);
            EveryInteractive([]);
        }
        else
        {
            container.Log.Warning("neither /etc/profile.d nor /etc/profile exists: login shells do not get the proxy's environment");
        }
    }

    /// <summary>Takes away what an earlier start wrote: this one's proxy is not up yet, and may never be.</summary>
    public Task RemoveAsync(CancellationToken cancellationToken)
    {
        var path = Path.Combine(ProfileDirectory, FileName);
        if (Path.Exists(path))
            File.Delete(path);
        // Of ours there is nothing in what cannot be read; that it cannot be written either is told when there is something to write.
        if (RegularFile.IsOrMissing(container.Paths.In("/etc/profile")))
            Every(container.Paths.In("/etc/profile"), []);
        EveryInteractive([]);
        return Task.CompletedTask;
    }

    // Shells that are no login shells read these: bash on Debian, Alpine and Fedora, and zsh always.
    private void EveryInteractive(IReadOnlyList<string> lines)
    {
        foreach (var file in Interactive.Select(container.Paths.In))
        {
            if (lines.Count > 0 || RegularFile.IsOrMissing(file))
                Every(file, lines);
        }
    }

    // One that is a mount, or read-only, takes nothing from those who read another.
    private void Every(string path, IReadOnlyList<string> lines)
    {
        try
        {
            if (File.Exists(path))
                ManagedBlock.PutInto(path, lines);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            container.Log.Warning($"{path} stays as it is, and so does the environment of shells that read it alone: {error.Message}");
        }
    }

    private static string Quote(string value)
        => Harmless().IsMatch(value) ? value : $"'{value.Replace("'", "'\\''", StringComparison.Ordinal)}'";

    [GeneratedRegex(@"\A[A-Za-z0-9_./:,@%+=-]+\z", RegexOptions.CultureInvariant)]
    private static partial Regex Harmless();

    /// <summary>Whether login shells get the variables.</summary>
    public static Finding Check(SeenContainer seen)
    {
        const string Profile = "/etc/profile";
        if (seen.Holds(Profile, "HTTP_PROXY"))
            return SeenContainer.Step("login shells", true, Profile, "");
        var isWritten = seen.Holds(SeenFile, "HTTP_PROXY");
        return isWritten && !seen.Holds(Profile, "profile.d")
            ? SeenContainer.Step("login shells", false, $"{Profile} does not read {SeenFile}", $"let the image's {Profile} read the files of /etc/profile.d")
            : SeenContainer.Step("login shells", isWritten, SeenFile, "the proxy was not up at the start: " + Doctor.Restart);
    }
}
