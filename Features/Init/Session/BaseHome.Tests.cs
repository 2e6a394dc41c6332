using Discobot.Infrastructure.Native;

namespace Discobot.Features.Init.Session;

public sealed class BaseHomeTests : IDisposable
{
    private readonly ContainerFixture _fixture = new();

    public void Dispose() => _fixture.Dispose();

    [Fact]
    public async Task The_images_home_is_copied_for_the_agent_and_its_top_is_closed_to_it()
    {
        _fixture.Write("home/discobot/.config/tool", "setting");
        _fixture.Write("home/discobot/run.sh", "#!/bin/sh\n", 0x9ED /* 04755 */);
        File.CreateSymbolicLink(_fixture.At("home/discobot/link"), "/nowhere");
        await RunAsync();
        foreach (var path in new[] { ".config", ".config/tool", "run.sh" })
            Assert.Equal(ContainerFixture.Agent.Owner, StatusOf(path).Owner);
        Assert.Equal(0x1EDu, StatusOf("run.sh").Permissions);
        Assert.Equal("/nowhere", new FileInfo(_fixture.At(".data/discobot/link")).LinkTarget);
        Assert.Equal((Owner.Root, 0x1C0u), (StatusOf("").Owner, StatusOf("").Permissions));
    }

    [Fact]
    public async Task A_copy_that_was_interrupted_does_not_count_and_begins_anew()
    {
        _fixture.Write("home/discobot/file", "whole");
        _fixture.Write(".data/discobot.staging/file", "ha");
        await RunAsync();
        Assert.Equal("whole", File.ReadAllText(_fixture.At(".data/discobot/file")));
        Assert.False(Directory.Exists(_fixture.At(".data/discobot.staging")));
    }

    [Fact]
    public async Task A_stop_in_the_middle_of_the_copy_leaves_no_home_that_looks_complete()
    {
        _fixture.Write("home/discobot/file", "whole");
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => new BaseHome(_fixture.Container).RunAsync(new CancellationToken(true)));
        Assert.False(Directory.Exists(_fixture.At(".data/discobot")));
    }

    [Fact]
    public async Task A_later_image_adds_what_is_missing_and_overwrites_nothing()
    {
        _fixture.Write("home/discobot/old", "of the image");
        await RunAsync();
        File.WriteAllText(_fixture.At(".data/discobot/old"), "changed");
        _fixture.Write("home/discobot/new/file", "added");
        _fixture.Write(".data/discobot/new/.discobot-copy", "half of an interrupted copy");
        await RunAsync();
        Assert.Equal("changed", File.ReadAllText(_fixture.At(".data/discobot/old")));
        Assert.Equal("added", File.ReadAllText(_fixture.At(".data/discobot/new/file")));
        Assert.Equal(ContainerFixture.Agent.Owner, StatusOf("new/file").Owner);
        Assert.False(File.Exists(_fixture.At(".data/discobot/new/.discobot-copy")));
    }

    [Fact]
    public async Task A_base_home_that_another_system_gave_to_the_agent_is_closed_to_it()
    {
        _fixture.Write(".data/discobot/file", "kept");
        ContainerFixture.Sh("chown nobody \"$1\"; chmod 755 \"$1\"", _fixture.At(".data/discobot"));
        await RunAsync();
        Assert.Equal((Owner.Root, 0x1C0u), (StatusOf("").Owner, StatusOf("").Permissions));
    }

    [Fact]
    public async Task FIFOs_sockets_and_devices_in_the_image_hold_nothing_up()
    {
        ContainerFixture.Sh("mkfifo \"$1/fifo\"; mknod \"$1/null\" c 1 3", _fixture.At("home/discobot"));
        await RunAsync().WaitAsync(TimeSpan.FromSeconds(10));
        Assert.Empty(Directory.GetFileSystemEntries(_fixture.At(".data/discobot")));
        Assert.Contains("2 left out (FIFOs, sockets, devices)", _fixture.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_link_in_its_place_is_not_entered()
    {
        _fixture.Write("home/discobot/file", "x");
        var victim = Directory.CreateDirectory(_fixture.At("victim")).FullName;
        File.CreateSymbolicLink(_fixture.At(".data/discobot"), victim);
        await Assert.ThrowsAsync<LibcException>(RunAsync);
        Assert.Empty(Directory.GetFileSystemEntries(victim));
    }

    private Task RunAsync() => new BaseHome(_fixture.Container).RunAsync(CancellationToken.None);

    private FileStatus StatusOf(string path) => Libc.StatusOf(Path.Combine(_fixture.At(".data/discobot"), path))!.Value;
}
