namespace Discobot.Infrastructure.Native;

public sealed class TreeCopyTests : IDisposable
{
    private readonly string _source = Directory.CreateTempSubdirectory("copy-from-").FullName;
    private readonly string _target = Directory.CreateTempSubdirectory("copy-to-").FullName;

    public void Dispose()
    {
        Directory.Delete(_source, true);
        Directory.Delete(_target, true);
    }

    [Fact]
    public void Files_directories_links_modes_and_times_arrive()
    {
        Directory.CreateDirectory(Path.Combine(_source, "a", "b"));
        var script = Path.Combine(_source, "a", "run.sh");
        File.WriteAllText(script, "#!/bin/sh\n");
        File.SetUnixFileMode(script, (UnixFileMode)0x1ED);
        File.SetLastWriteTimeUtc(script, DateTime.UnixEpoch.AddDays(10000));
        File.CreateSymbolicLink(Path.Combine(_source, "a", "dangling"), "/nowhere/at/all");
        var copy = Run();
        var copied = Path.Combine(_target, "a", "run.sh");
        Assert.Equal(4, copy.Copied);
        Assert.Equal("#!/bin/sh\n", File.ReadAllText(copied));
        Assert.Equal((UnixFileMode)0x1ED, File.GetUnixFileMode(copied));
        Assert.Equal(DateTime.UnixEpoch.AddDays(10000), File.GetLastWriteTimeUtc(copied));
        Assert.Equal("/nowhere/at/all", new FileInfo(Path.Combine(_target, "a", "dangling")).LinkTarget);
        Assert.True(Directory.Exists(Path.Combine(_target, "a", "b")));
    }

    [Fact]
    public void What_is_there_already_is_never_overwritten()
    {
        File.WriteAllText(Path.Combine(_source, "file"), "image");
        File.WriteAllText(Path.Combine(_source, "new"), "image");
        File.WriteAllText(Path.Combine(_target, "file"), "mine");
        Assert.Equal(1, Run().Copied);
        Assert.Equal("mine", File.ReadAllText(Path.Combine(_target, "file")));
    }

    [Fact]
    public void A_link_in_the_target_is_not_entered()
    {
        var outside = Directory.CreateTempSubdirectory("outside-").FullName;
        Directory.CreateDirectory(Path.Combine(_source, "etc"));
        File.WriteAllText(Path.Combine(_source, "etc", "passwd"), "evil");
        File.CreateSymbolicLink(Path.Combine(_target, "etc"), outside);
        Run();
        Assert.Empty(Directory.GetFileSystemEntries(outside));
        Directory.Delete(outside);
    }

    [Fact]
    public void A_fifo_is_left_out_and_blocks_nothing()
    {
        using var made = System.Diagnostics.Process.Start("mkfifo", Path.Combine(_source, "fifo"));
        made.WaitForExit();
        Assert.Equal(1, Run().Skipped);
        Assert.Empty(Directory.GetFileSystemEntries(_target));
    }

    [Fact]
    public void Names_that_are_no_UTF8_arrive_as_they_are()
    {
        FileName latin = new([(byte)'k', 0xE4, (byte)'s', (byte)'e', 0]);
        using (var source = DirectoryHandle.OpenTrusted(_source))
            source.CreateSymlink(latin, "x");
        Assert.Equal(1, Run().Copied);
        using (var source = DirectoryHandle.OpenTrusted(_source))
            source.Remove(latin);
        using var target = DirectoryHandle.OpenTrusted(_target);
        Assert.Equal(latin.Bytes, Assert.Single(target.Entries()).Bytes);
        target.Remove(latin);
    }

    private TreeCopy Run()
    {
        using var source = DirectoryHandle.OpenTrusted(_source);
        using var target = DirectoryHandle.OpenTrusted(_target);
        var copy = new TreeCopy(null);
        copy.Run(source, target, CancellationToken.None);
        return copy;
    }
}
