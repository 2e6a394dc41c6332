namespace Discobot.Infrastructure.Native.Processes;

public sealed class UserDatabaseTests : IDisposable
{
    private readonly string _etc = Directory.CreateTempSubdirectory("etc-").FullName;
    private readonly UserDatabase _users;

    public UserDatabaseTests()
    {
        File.WriteAllText(Path.Combine(_etc, "passwd"), "root:x:0:0:root:/root:/bin/sh\nagent:x:1000:1000::/home/agent:/bin/sh");
        File.WriteAllText(Path.Combine(_etc, "group"), "root:x:0:\nagent:x:1000:\ndocker:x:998:other\nwheel:x:10:agent,other\n");
        _users = new UserDatabase(_etc);
    }

    public void Dispose() => Directory.Delete(_etc, true);

    [Theory]
    [InlineData("agent")]
    [InlineData("1000")]
    public void A_user_is_found_by_name_and_number_with_all_its_groups(string key)
    {
        var user = _users.Find(key)!;
        Assert.Equal(("agent", 1000u, "/home/agent"), (user.Name, user.User, user.Home));
        Assert.Equal([1000u, 10u], user.Groups);
    }

    [Fact]
    public void A_missing_user_is_null() => Assert.Null(_users.Find("nobody"));

    [Fact]
    public void A_system_user_is_added_once_with_a_free_number_and_no_shell()
    {
        var added = _users.FindOrAddSystemUser("svc", "/var/svc");
        Assert.Equal(added, _users.FindOrAddSystemUser("svc", "/var/svc"), (a, b) => a!.Name == b!.Name && a.User == b.User);
        Assert.InRange(added.User, 100u, 999u);
        Assert.Equal("/sbin/nologin", added.Shell);
        Assert.Equal(3, File.ReadAllLines(Path.Combine(_etc, "passwd")).Length);
        Assert.Equal(5, File.ReadAllLines(Path.Combine(_etc, "group")).Length);
    }

    /// <summary>A user's own group may have no line.</summary>
    [Fact]
    public void A_group_that_is_added_is_nobodys_yet()
    {
        File.AppendAllText(Path.Combine(_etc, "passwd"), "\nworker:x:1001:999::/:/bin/sh\n");
        Assert.DoesNotContain(_users.FindOrAddSystemUser("svc", "/var/svc").Group, new uint[] { 998, 999 });
    }

    [Fact]
    public void A_member_is_added_to_its_group_once()
    {
        _users.AddToGroup("agent", "docker");
        _users.AddToGroup("agent", "docker");
        Assert.Contains("docker:x:998:other,agent", File.ReadAllLines(Path.Combine(_etc, "group")));
        Assert.Contains(998u, _users.Find("agent")!.Groups);
    }
}
