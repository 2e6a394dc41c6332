using System.Text;
using System.Text.RegularExpressions;
using Discobot.Infrastructure.Native;

namespace Discobot.Features.Init.Variables;

/// <summary>Gives the proxy's variables to shells that are not our children: logins and <c>docker exec</c>.</summary>
internal sealed partial class ShellProfile(Container container)
{
    private const string FileName = "discobot-proxy.sh";
    private const string SeenFile = "/etc/profile.d/" + FileName;

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
        Every(container.Paths.In("/etc/profile"), []);
        EveryInteractive([]);
        return Task.CompletedTask;
    }

    // Shells that are no login shells read these: bash on Debian, Alpine and Fedora, and zsh always.
    private void EveryInteractive(IReadOnlyList<string> lines)
    {
        foreach (var file in new[] { "/etc/bash.bashrc", "/etc/bash/bashrc", "/etc/bashrc", "/etc/zsh/zshenv", "/etc/zshenv" })
            Every(container.Paths.In(file), lines);
    }

    private static void Every(string path, IReadOnlyList<string> lines)
    {
        if (File.Exists(path))
            ManagedBlock.PutInto(path, lines);
    }

    private static string Quote(string value)
        => Harmless().IsMatch(value) ? value : $"'{value.Replace("'", "'\\''", StringComparison.Ordinal)}'";

    [GeneratedRegex(@"\A[A-Za-z0-9_./:,@%+=-]+\z", RegexOptions.CultureInvariant)]
    private static partial Regex Harmless();

    /// <summary>Whether login shells get the variables.</summary>
    public static Finding Check(SeenContainer seen)
        => SeenContainer.Step("login shells", seen.Holds(SeenFile, "HTTP_PROXY") || seen.Holds("/etc/profile", "HTTP_PROXY"), SeenFile,
            "the proxy was not up at the start: " + Doctor.Restart);
}
