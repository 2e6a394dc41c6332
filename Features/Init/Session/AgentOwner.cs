using System.Globalization;
using System.Text;
using Discobot.Infrastructure.Native;

namespace Discobot.Features.Init.Session;

/// <summary>
/// Whose the work on the volume is. An image may give the agent's name another number than the image before it: then what was the
/// agent's becomes the agent's again, and what is root's or anybody else's stays.
/// </summary>
internal sealed class AgentOwner(Container container)
{
    private const string Stamp = ".agent";
    private const int LargestStamp = 64;

    private Owner Now => container.Agent.Owner;

    /// <summary>Gives the base home, and databases, to the agent of today.</summary>
    public void Adopt(DirectoryHandle data, CancellationToken cancellationToken)
    {
        using var home = data.OpenChild(BaseHome.Name);
        if (home is null || (Read(data) ?? home.Status("workspace")?.Owner) is not { } before)
            return;
        using var databases = data.OpenChild(".agentfs");
        foreach (var tree in new[] { home, databases })
        {
            if (tree is not null)
                Adopt(tree, before, cancellationToken);
        }
    }

    /// <summary>Writes down whose it is now: when all that is to be given is given.</summary>
    public void Remember(DirectoryHandle data)
    {
        try
        {
            if (Read(data) != Now)
                data.WriteBytes(Stamp, Encoding.ASCII.GetBytes($"{Now.User}:{Now.Group}\n"), 0x1A4, new Owner(Libc.GetUser(), Libc.GetUserGroup()));
        }
        catch (IOException error)
        {
            container.Log.Warning($"whose {data}/{BaseHome.Name} is cannot be written down: {error.Message}");
        }
    }

    /// <summary>Gives a tree to the agent of today when it was somebody else's.</summary>
    public void Adopt(DirectoryHandle tree, Owner before, CancellationToken cancellationToken)
    {
        if (before.User == Now.User)
            return;
        container.Log.Info($"{tree} belonged to user {before.User}, and {container.Agent.Name} is {Now.User} in this image: it is given to {container.Agent.Name}");
        tree.ChangeOwnerOfTree(before, Now, cancellationToken);
    }

    private static Owner? Read(DirectoryHandle data)
    {
        // Where something else stands, there is none. What cannot be read is another thing: to guess could give somebody's work away.
        if (data.Status(Stamp) is not { Kind: FileKind.Regular, Size: <= LargestStamp } || data.ReadBytes(Stamp, LargestStamp) is not { } bytes)
            return null;
        var parts = Encoding.ASCII.GetString(bytes).Trim().Split(':');
        return parts.Length == 2 && uint.TryParse(parts[0], NumberStyles.None, CultureInfo.InvariantCulture, out var user)
            && uint.TryParse(parts[1], NumberStyles.None, CultureInfo.InvariantCulture, out var group) ? new Owner(user, group) : null;
    }
}
