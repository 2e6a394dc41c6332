using Discobot.Infrastructure.Native;

namespace Discobot.Features.Init.Session;

public sealed class DataDirectoriesTests : IDisposable
{
    private readonly ContainerFixture _fixture = new();

    public void Dispose() => _fixture.Dispose();

    [Fact]
    public async Task The_proxy_gets_a_user_of_its_own_where_the_image_has_none()
    {
        var volume = await RunAsync();
        var user = new UserDatabase(_fixture.At("etc")).Find("discobot-proxy")!;
        Assert.InRange(user.User, 100u, 999u);
        Assert.Equal((user.Name, user.Owner), (volume.ProxyUser, volume.ProxyOwner));
        foreach (var (path, mode) in new[] { (".data/proxy", 0x1C9u), (".data/proxy/certs", 0x1C9u), (".data/proxy/cache", 0x1C0u) })
            Assert.Equal((user.Owner, mode), OwnerAndMode(path));
    }

    [Fact]
    public async Task Where_no_user_can_be_made_the_proxy_runs_as_root_and_a_warning_says_so()
    {
        // A directory in the place of the file: it can be neither read nor replaced.
        File.Delete(_fixture.At("etc/group"));
        Directory.CreateDirectory(_fixture.At("etc/group/x"));
        Assert.Null((await RunAsync()).ProxyUser);
        Assert.Contains("warning: no user discobot-proxy could be made, the proxy runs as root: ", _fixture.Output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(true, "has the number of the proxy's own user")]
    [InlineData(false, "is in the proxy's group")]
    public async Task An_agent_with_a_number_of_the_proxys_is_told_of(bool isUser, string warning)
    {
        var agent = ContainerFixture.Agent;
        _fixture.Write("etc/passwd", $"discobot-proxy:x:{(isUser ? agent.User : 990)}:{agent.Group}::/:/bin/false\n");
        await RunAsync();
        Assert.Contains($"warning: {agent.Name} {warning}", _fixture.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_volume_is_taken_back_from_the_agent_with_all_that_is_the_proxys()
    {
        var agent = ContainerFixture.Agent.Owner;
        _fixture.Write(".data/proxy/certs/ca.key", "key", 0x180);
        _fixture.Write(".data/proxy/cache/entry", "cached");
        using (var data = DirectoryHandle.OpenTrusted(_fixture.At(".data")))
            data.SetOwnerOfTree(agent, CancellationToken.None);
        var volume = await RunAsync();
        Assert.Equal((new Owner(0, 0), 0x1EDu), OwnerAndMode(".data"));
        foreach (var path in new[] { ".data/proxy", ".data/proxy/certs", ".data/proxy/cache", ".data/proxy/cache/entry", ".data/proxy/certs/ca.key" })
            Assert.Equal(volume.ProxyOwner, OwnerAndMode(path).Owner);
        Assert.Contains("ca.key belonged to nobody, who may know it", _fixture.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Links_in_the_place_of_the_proxys_directories_are_removed_and_not_entered()
    {
        var victim = Directory.CreateDirectory(_fixture.At("victim")).FullName;
        File.CreateSymbolicLink(_fixture.At(".data/proxy"), victim);
        await RunAsync();
        Assert.Empty(Directory.GetFileSystemEntries(victim));
        Assert.Equal(new Owner(0, 0), OwnerAndMode("victim").Owner);
        Assert.Contains("was a Symlink, not a directory: removed", _fixture.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_file_with_a_second_name_keeps_its_owner()
    {
        var victim = _fixture.Write("victim", "root's");
        Directory.CreateDirectory(_fixture.At(".data/proxy"));
        ContainerFixture.Sh("ln \"$1\" \"$2\"; chown nobody \"$3\"", victim, _fixture.At(".data/proxy/name"), _fixture.At(".data/proxy"));
        await RunAsync();
        Assert.Equal(new Owner(0, 0), OwnerAndMode("victim").Owner);
    }

    private async Task<DataVolume> RunAsync()
    {
        var volume = await new DataDirectories(_fixture.Container).RunAsync(CancellationToken.None);
        await volume.Authority;
        return volume;
    }

    private (Owner Owner, uint Mode) OwnerAndMode(string path)
    {
        var status = Libc.StatusOf(_fixture.At(path))!.Value;
        return (status.Owner, status.Permissions);
    }
}
