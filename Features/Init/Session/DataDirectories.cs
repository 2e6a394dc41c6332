using Discobot.Infrastructure.Native;

namespace Discobot.Features.Init.Session;

/// <summary>
/// Prepares the volume. Its top belongs to root, or the agent could put a directory of its own in the place of the proxy's. The
/// proxy's directories belong to the proxy's own user; others may pass through to read <c>ca.crt</c>, whose name they know.
/// </summary>
internal sealed class DataDirectories(Container container)
{
    private const string ProxyUserName = "discobot-proxy";

    public async Task<DataVolume> RunAsync(CancellationToken cancellationToken)
    {
        var user = FindProxyUser();
        var owner = user?.Owner ?? Owner.Root;
        WarnOfSharedNumbers(owner);
        Directory.CreateDirectory(container.Paths.Data);
        using var data = DirectoryHandle.OpenTrusted(container.Paths.Data);
        WarnOfKnownKey(data);
        TakeOver(data);
        var locks = new VolumeLocks(container);
        locks.TakeSession();
        using var prepared = await locks.ForSetupAsync(cancellationToken);
        using var proxy = Prepare(data, "proxy", 0x1C9 /* 0711 */, owner, cancellationToken);
        using var certificates = Prepare(proxy, "certs", 0x1C9, owner, cancellationToken);
        using var cache = Prepare(proxy, "cache", 0x1C0 /* 0700 */, owner, cancellationToken);

        // An RSA key takes a while: it is made while the workspace is cloned. The step that needs it waits for it.
        var authority = Task.Run(() => container.Services.EnsureAuthority(container.Paths.Certificates, cancellationToken), cancellationToken);
        return new DataVolume(user?.Name, owner, authority);
    }

    private UserRecord? FindProxyUser()
    {
        try
        {
            return new UserDatabase(container.Paths.Etc).FindOrAddSystemUser(ProxyUserName, "/.data/proxy");
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            container.Log.Warning($"no user {ProxyUserName} could be made, the proxy runs as root: {error.Message}");
            return null;
        }
    }

    // What an image says of its users is believed, and then told.
    private void WarnOfSharedNumbers(Owner proxy)
    {
        if (container.Agent.User == Libc.GetUser())
            return;
        if (container.Agent.User == proxy.User)
        {
            container.Log.Warning($"{container.Agent.Name} has the number of the proxy's own user ({proxy.User}): the key of the authority and all that the proxy keeps from the agent are the agent's; "
                + $"give {ProxyUserName} another number in /etc/passwd, or set AGENT_USER to another user");
        }
        else if (container.Agent.Groups.Contains(proxy.Group))
        {
            container.Log.Warning($"{container.Agent.Name} is in the proxy's group ({proxy.Group}): files that only this group may read, the proxy's log and secrets in files, are the agent's to read; "
                + $"give {ProxyUserName} a group of its own in /etc/passwd and /etc/group");
        }
    }

    private void TakeOver(DirectoryHandle data)
    {
        var status = data.Status();
        if (status.Owner.User == Libc.GetUser() && (status.Permissions & 0x12) == 0)
            return;
        container.Log.Debug($"{data} belonged to user {status.Owner.User}, mode {Convert.ToString(status.Permissions, 8)}: now root's, 0755");
        data.SetOwner(new Owner(Libc.GetUser(), Libc.GetUserGroup()));
        data.SetPermissions(0x1ED);
    }

    // On volumes of other systems these directories were the agent's: a key that belongs to it, it may have put there and know.
    private void WarnOfKnownKey(DirectoryHandle data)
    {
        try
        {
            using var certificates = data.TryOpen("proxy/certs");
            if (container.Agent.User != Libc.GetUser() && certificates?.Status("ca.key")?.Owner.User == container.Agent.User)
            {
                container.Log.Warning($"{certificates}/ca.key belonged to {container.Agent.Name}, who may know it: "
                    + "`discobot ca rotate` makes another, and a restart trusts it");
            }
        }
        catch (LibcException)
        {
            // Links and files in the place of directories are told of when they are removed.
        }
    }

    // Its owner tells whether a directory is as we leave it: only then the tree below, large with a full cache, needs no walk.
    private DirectoryHandle Prepare(DirectoryHandle parent, string name, uint permissions, Owner owner, CancellationToken cancellationToken)
    {
        if (parent.Status(name) is { Kind: not FileKind.Directory } found)
        {
            container.Log.Warning($"{parent}/{name} was a {found.Kind}, not a directory: removed");
            parent.Remove(name);
        }

        var directory = parent.OpenChild(name) ?? parent.CreateChild(name, permissions, owner);
        var status = directory.Status();
        if (status.Owner != owner)
            directory.SetOwnerOfTree(owner, cancellationToken);
        if (status.Permissions != permissions)
            directory.SetPermissions(permissions);
        return directory;
    }

    /// <summary>Whether the volume's top is root's alone to write.</summary>
    public static Finding Check(SeenContainer seen)
        => SeenContainer.Step("data directories", Libc.StatusOf(seen.Paths.Data) is { Owner.User: 0 } status && (status.Permissions & 0x12) == 0,
            $"{seen.Paths.Data} belongs to root", Doctor.Restart);
}

/// <summary>The volume, prepared.</summary>
/// <param name="ProxyUser">Who the proxy runs as; null for root, where no user could be made.</param>
/// <param name="ProxyOwner">The same by number.</param>
/// <param name="Authority">The certificate authority, being made while the workspace is cloned.</param>
internal sealed record DataVolume(string? ProxyUser, Owner ProxyOwner, Task Authority);
