namespace Discobot.Infrastructure.Native.Files;

public sealed class AtomicFileTests : IDisposable
{
    private const UnixFileMode Private = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    private readonly string _directory = Directory.CreateTempSubdirectory("atomic-").FullName;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Fact]
    public void A_file_is_replaced_whole_with_the_mode_asked_for_and_nothing_is_left_beside_it()
    {
        var path = Path.Combine(_directory, "file");
        File.WriteAllText(path, "a longer text that was here before");
        AtomicFile.Write(path, "new"u8, Private | UnixFileMode.OtherWrite);
        Assert.Equal("new", File.ReadAllText(path));
        Assert.Equal(Private | UnixFileMode.OtherWrite, File.GetUnixFileMode(path));
        Assert.Equal([path], Directory.GetFileSystemEntries(_directory));
    }

    [Fact]
    public void A_link_in_the_place_of_the_file_is_replaced_not_followed()
    {
        var victim = Path.Combine(_directory, "victim");
        var path = Path.Combine(_directory, "file");
        File.WriteAllText(victim, "untouched");
        File.CreateSymbolicLink(path, victim);
        AtomicFile.Write(path, "new"u8, Private);
        Assert.Equal("untouched", File.ReadAllText(victim));
        Assert.Null(new FileInfo(path).LinkTarget);
    }

    [Fact]
    public void A_failed_write_leaves_the_old_state()
    {
        var path = Path.Combine(_directory, "file");
        Directory.CreateDirectory(Path.Combine(path, "not-empty"));
        Assert.ThrowsAny<Exception>(() => AtomicFile.Write(path, "new"u8, Private));
        Assert.Equal([path], Directory.GetFileSystemEntries(_directory));
    }

    [Fact]
    public void Syncing_a_directory_that_is_missing_says_which()
    {
        var error = Assert.Throws<IOException>(() => AtomicFile.SyncDirectory("/nowhere"));
        Assert.Contains("/nowhere", error.Message, StringComparison.Ordinal);
    }
}
