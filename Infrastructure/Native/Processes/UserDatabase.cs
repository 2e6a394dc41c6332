using System.Globalization;
using System.Text;

namespace Discobot.Infrastructure.Native.Processes;

/// <summary>A line of /etc/passwd with the groups that /etc/group adds.</summary>
internal sealed record UserRecord(string Name, uint User, uint Group, string Home, string Shell, IReadOnlyList<uint> Groups)
{
    public Owner Owner => new(User, Group);
}

/// <summary>
/// Users and groups, read from the files themselves: a static executable has no name service switch, and images need no tools.
/// </summary>
/// <param name="etc">The directory of <c>passwd</c> and <c>group</c>.</param>
internal sealed class UserDatabase(string etc)
{
    private string PasswdFile => Path.Combine(etc, "passwd");

    private string GroupFile => Path.Combine(etc, "group");

    /// <summary>Looks a user up by name or by number; null when no line has it.</summary>
    public UserRecord? Find(string nameOrNumber)
    {
        foreach (var fields in Lines(PasswdFile))
        {
            if (fields.Length >= 7 && (fields[0] == nameOrNumber || fields[2] == nameOrNumber)
                && TryNumber(fields[2], out var user) && TryNumber(fields[3], out var group))
                return new UserRecord(fields[0], user, group, fields[5], fields[6], GroupsOf(fields[0], group));
        }

        return null;
    }

    /// <summary>The number of a group; null when there is no such group.</summary>
    public uint? FindGroup(string name)
        => Lines(GroupFile).FirstOrDefault(f => f.Length >= 3 && f[0] == name) is { } fields && TryNumber(fields[2], out var number) ? number : null;

    /// <summary>Finds a system group, adding it (100 to 999, the first free number) when it is missing.</summary>
    public uint FindOrAddGroup(string name)
    {
        if (FindGroup(name) is { } existing)
            return existing;
        // One that is a user's without a line of its own would be that user's group.
        var number = FreeNumber(Lines(GroupFile).Where(f => f.Length > 2).Select(f => f[2]).Concat(Lines(PasswdFile).Where(f => f.Length > 3).Select(f => f[3])));
        Append(GroupFile, $"{name}:x:{number}:");
        return number;
    }

    /// <summary>The name of the group with a number, adding one of this name when there is none.</summary>
    public string FindOrAddGroup(uint number, string name)
    {
        if (Lines(GroupFile).FirstOrDefault(f => f.Length >= 3 && f[2] == Text(number)) is { } fields)
            return fields[0];
        Append(GroupFile, $"{name}:x:{number}:");
        return name;
    }

    /// <summary>Finds a system user, adding it together with a group of its name when it is missing. It has no password and no shell.</summary>
    public UserRecord FindOrAddSystemUser(string name, string home)
    {
        if (Find(name) is { } existing)
            return existing;
        var group = FindOrAddGroup(name);
        var taken = Lines(PasswdFile);
        var user = taken.Any(f => f.Length > 2 && f[2] == Text(group)) ? FreeNumber(taken.Where(f => f.Length > 2).Select(f => f[2])) : group;
        Append(PasswdFile, $"{name}:x:{user}:{group}:Discobot proxy:{home}:/sbin/nologin");
        return Find(name) ?? throw new IOException($"{PasswdFile} does not show the user {name} that was added");
    }

    /// <summary>Adds a user to a group. Nothing happens when it is a member already.</summary>
    public void AddToGroup(string user, string group)
    {
        var lines = RegularFile.ReadAllLines(GroupFile, Encoding.Latin1);
        for (var i = 0; i < lines.Length; i++)
        {
            var fields = lines[i].Split(':');
            if (fields.Length < 4 || fields[0] != group)
                continue;
            var members = fields[3].Split(',', StringSplitOptions.RemoveEmptyEntries);
            if (members.Contains(user))
                return;
            fields[3] = string.Join(',', [.. members, user]);
            lines[i] = string.Join(':', fields);
            Replace(GroupFile, string.Join('\n', lines) + "\n");
            return;
        }
    }

    // Latin-1 keeps every byte of real names whose encoding is not ours to know. Minimal images have neither file.
    private static List<string[]> Lines(string path)
        => File.Exists(path) ? [.. RegularFile.ReadAllLines(path, Encoding.Latin1).Select(line => line.Split(':'))] : [];

    private static bool TryNumber(string text, out uint number) => uint.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out number);

    private static string Text(uint number) => number.ToString(CultureInfo.InvariantCulture);

    // System accounts count down from 999, where useradd and adduser begin as well (login.defs, SYS_UID_MAX).
    private static uint FreeNumber(IEnumerable<string> numbers)
    {
        var taken = numbers.ToHashSet();
        for (var number = 999u; number >= 100; number--)
        {
            if (!taken.Contains(Text(number)))
                return number;
        }

        throw new IOException("no free number between 100 and 999 for a system account");
    }

    private static void Append(string path, string line)
    {
        var text = File.Exists(path) ? RegularFile.ReadAllText(path, Encoding.Latin1) : "";
        Replace(path, text + (text.Length == 0 || text.EndsWith('\n') ? "" : "\n") + line + "\n");
    }

    // Renamed into place: an interrupted start never leaves half a passwd file.
    private static void Replace(string path, string text)
    {
        using var directory = DirectoryHandle.OpenTrusted(Path.GetDirectoryName(path)!);
        var name = Path.GetFileName(path);
        var (permissions, owner) = directory.Status(name) is { Kind: FileKind.Regular } status ? (status.Permissions, status.Owner) : (0x1A4u, Owner.Root);
        directory.WriteBytes(name, Encoding.Latin1.GetBytes(text), permissions, owner);
    }

    private List<uint> GroupsOf(string name, uint primary)
    {
        var groups = new List<uint> { primary };
        foreach (var fields in Lines(GroupFile))
        {
            if (fields.Length >= 4 && fields[3].Split(',').Contains(name) && TryNumber(fields[2], out var number) && number != primary)
                groups.Add(number);
        }

        return groups;
    }
}
