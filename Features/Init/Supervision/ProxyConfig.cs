using System.Text;
using Discobot.Infrastructure.Native;

namespace Discobot.Features.Init.Supervision;

/// <summary>
/// Puts the proxy's configuration in place: the workspace's own when it has a good one, else the built-in one. The workspace is
/// somebody's repository, so its file is opened without following links, read up to a limit and judged before it counts.
/// </summary>
internal sealed class ProxyConfig(Container container)
{
    private const string FileName = "config.yaml";
    private const int LargestFile = 1 << 20;
    private const string Shown = "workspace/.discobot/proxy/config.yaml";

    public Task<ConfigInForce> RunAsync(DataVolume volume)
    {
        var refused = new List<string>();
        var policy = PolicyEdits.Written(container.Paths);
        var choice = container.Services.ChooseConfig(ReadWorkspace(container.Paths, refused));
        refused.AddRange(choice.Refused);
        if (refused.Count > 0)
            container.Log.Error($"proxy configuration NOT used:\n  {string.Join("\n  ", refused)}");
        container.Log.Info($"proxy config: {choice.Source}");

        var file = Place(choice.Text, volume.ProxyOwner);
        Publish(container, choice.Summary.State with { Config = file, Policy = policy, LogFile = ProxyDaemon.LogsToFile(choice.Summary) ? ProxyDaemon.SeenLog : choice.Summary.LogFile });
        var secrets = choice.Summary.SecretVariables.Where(container.Environment.ContainsKey).ToList();
        if (secrets.Count > 0)
        {
            container.Log.Warning($"the policy's secrets in {string.Join(", ", secrets)} are for the proxy alone, but every `docker exec` in this container has them, "
                + "and the agent reads them there: give them as files (file:/path) that the agent may not read");
        }

        var open = choice.Summary.SecretPaths.Where(IsOpenToAgent).ToList();
        if (open.Count > 0)
        {
            container.Log.Warning($"{string.Join(", ", open)} can be read by {container.Agent.Name}, the agent's user, and hold what is for the proxy alone: "
                + "let them belong to root with mode 640 and the proxy's group, or with mode 600 to the proxy's user");
        }

        Judge(choice.Summary.SecretCommands);
        if (choice.Summary.AsksForUsers)
        {
            container.Log.Warning("clients or socks.users ask every client of the proxy for a name and password, and the variables of this container name none: what does not "
                + $"bring one gets 407. Start such programs with HTTPS_PROXY=http://USER:PASSWORD@localhost:{choice.Summary.Port}, or leave both out");
        }

        return Task.FromResult(new ConfigInForce(file, choice.Summary));
    }

    // What runs as the proxy's user leaves by no rule and reads the authority's key. Arguments may be files that it is to change.
    private void Judge(IReadOnlyCollection<IReadOnlyList<string>> commands)
    {
        if (commands.Select(command => command[0]).FirstOrDefault(program => !container.IsRootsAlone(program)) is { } program)
        {
            var reason = $"{program}, which is to say what a secret is (secrets.NAME.command), could be changed by the agent, or anybody but root, and would be run as the proxy's user";
            throw new StartupException($"{reason}: let it and all directories above it belong to root, with nobody else writing to them, in no home") { IsFatal = true };
        }

        var files = commands.SelectMany(command => command.Skip(1)).Where(word => word.StartsWith('/') && File.Exists(word) && !container.IsRootsAlone(word)).Distinct().ToList();
        if (files.Count > 0)
        {
            container.Log.Warning($"{string.Join(", ", files)}, which programs that say what a secret is are given (secrets.NAME.command), could be changed by the agent, or anybody but root: "
                + "where they are run, as scripts are, let them and all directories above them belong to root");
        }
    }

    // As the kernel judges it, but for the owner, who may change the mode. A directory on the way that is closed to the agent keeps the file from it as
    // well. Of a link nobody knows here where it ends: what it leads to counts.
    private bool IsOpenToAgent(string path)
    {
        const uint read = 4;
        const uint enter = 1;
        var real = RealPath.Below("/", path);
        if (Libc.StatusOf(real) is not { } status || !Permits(status, read))
            return false;
        for (var directory = Path.GetDirectoryName(real); directory is not null; directory = Path.GetDirectoryName(directory))
        {
            if (Libc.StatusOf(directory) is { } entered && !Permits(entered, enter))
                return false;
        }

        return true;
    }

    private bool Permits(in FileStatus status, uint right) => status.Owner.User == container.Agent.User
        || ((status.Permissions >> (container.Agent.Groups.Contains(status.Owner.Group) ? 3 : 0)) & right) != 0;

    // What is in force is the container's own: where several have the volume, one of them has the file there, or each start would rewrite the rules of all.
    private string Place(string text, Owner proxy)
    {
        if (new VolumeLocks(container).TakeForLife("proxy-config") is { } holder)
        {
            container.Log.Info($"the proxy's configuration is kept in {container.Paths.Run}: that of this volume is {holder}'s");
            try
            {
                return PlaceInRun(text, proxy);
            }
            catch (Exception error) when (error is IOException or UnauthorizedAccessException)
            {
                var reason = $"{holder} has the proxy's configuration of this volume, and {container.Paths.Run} can hold none: {error.Message}";
                throw new StartupException($"{reason}; give this container a writable /run (--tmpfs /run), or a volume of its own") { IsFatal = true };
            }
        }

        try
        {
            Write(container.Paths.Proxy, text, proxy);
            return container.Paths.ProxyConfig;
        }
        catch (IOException error)
        {
            // A volume that is full, as the agent can make it, must not change the rules.
            container.Log.Warning($"the proxy's configuration is kept in {container.Paths.Run}: {error.Message}");
            return PlaceInRun(text, proxy);
        }
    }

    private string PlaceInRun(string text, Owner proxy)
    {
        Write(Directory.CreateDirectory(container.Paths.Run).FullName, text, proxy);
        return Path.Combine(container.Paths.Run, FileName);
    }

    /// <summary>Leaves word of the proxy for the tools. Where it cannot be written, they say that they were not told.</summary>
    public static void Publish(Container container, ProxyState state)
    {
        try
        {
            state.Write(container.Paths);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            // On a read-only root without a /run of its own: root's tools still read the configuration.
            container.Log.Warning($"`discobot doctor` and the other tools are not told of this start, as they are where /run can be written (--tmpfs /run): {error.Message}");
        }
    }

    // May hold credentials: the proxy reads it, and only root changes it. Where the agent is in the proxy's group, that cannot be said by a group.
    private void Write(string directory, string text, Owner proxy)
    {
        using var handle = DirectoryHandle.OpenTrusted(directory);
        var (permissions, owner) = container.Agent.Groups.Contains(proxy.Group) ? (0x100u /* 0400 */, proxy) : (0x1A0u /* 0640 */, new Owner(Libc.GetUser(), proxy.Group));
        handle.WriteBytes(FileName, Encoding.UTF8.GetBytes(text), permissions, owner);
    }

    /// <summary>The text of the workspace's own configuration; null when it has none that can be read.</summary>
    public static string? ReadWorkspace(ContainerPaths paths, List<string> refused)
    {
        try
        {
            using var home = DirectoryHandle.OpenTrusted(paths.Home);
            using var directory = home.TryOpen("workspace/.discobot/proxy");
            return directory?.ReadBytes("config.yaml", LargestFile) is { } bytes ? new UTF8Encoding(false, true).GetString(bytes) : null;
        }
        catch (IOException error)
        {
            refused.Add(error.Message);
        }
        catch (ArgumentException)
        {
            refused.Add($"{Shown}: not valid UTF-8");
        }

        return null;
    }

    /// <summary>Whether there is one, and whether a file that somebody wrote is the one in force.</summary>
    public static Finding Check(SeenContainer seen)
    {
        var state = ProxyState.Read(seen.Paths);
        var file = state?.Config ?? seen.Paths.ProxyConfig;
        var missed = state is not null ? PolicyEdits.Missed(seen.Paths, state) : null;
        if (Path.Exists(seen.Paths.Policy) && !Libc.MayRead(seen.Paths.Policy))
        {
            return missed is null ? SeenContainer.Absent("proxy config", $"this user may not read {seen.Paths.Policy}: root is told more")
                : SeenContainer.Step("proxy config", false, missed, "ask as root whether it has mistakes, and restart the container for it to count");
        }

        // With a mistake in its policy no container starts: whoever is told to restart it has to know of the mistake.
        var reasons = seen.Refused();
        if (missed is not null)
        {
            return reasons.Count == 0 ? SeenContainer.Step("proxy config", false, missed, "restart the container for it to count")
                : SeenContainer.Step("proxy config", false, $"{missed}, and will not be used as it is: {string.Join("; ", reasons)}",
                    "correct the workspace's .discobot/proxy/config.yaml or the operator's policy, and restart the container after that");
        }

        return reasons.Count > 0
            ? SeenContainer.Step("proxy config", false, $"not used: {string.Join("; ", reasons)}", "correct the workspace's .discobot/proxy/config.yaml or the operator's policy; " + Doctor.Restart)
            : SeenContainer.Step("proxy config", File.Exists(file), file, Doctor.Restart);
    }
}

/// <summary>The configuration that counts.</summary>
/// <param name="File">The file that the proxy reads.</param>
/// <param name="Proxy">What it says.</param>
internal sealed record ConfigInForce(string File, ProxySummary Proxy);
