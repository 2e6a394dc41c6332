using System.Text;

namespace Discobot.Infrastructure.Native.Files;

public sealed class DirectoryHandleTests : IDisposable
{
    private static readonly Owner Self = new(Libc.GetUser(), Libc.GetUserGroup());
    private readonly string _path = Directory.CreateTempSubdirectory("directory-").FullName;
    private readonly DirectoryHandle _directory;

    public DirectoryHandleTests() => _directory = DirectoryHandle.OpenTrusted(_path);

    public void Dispose()
    {
        _directory.Dispose();
        Directory.Delete(_path, true);
    }

    [Fact]
    public void A_link_on_the_way_is_refused_wherever_it_leads()
    {
        Directory.CreateDirectory(Path.Combine(_path, "real"));
        File.CreateSymbolicLink(Path.Combine(_path, "link"), "real");
        Assert.Throws<LibcException>(() => _directory.TryOpen("link"));
        Assert.Throws<LibcException>(() => _directory.OpenOrCreate("link/below", 0x1ED, Self));
        Assert.Empty(Directory.GetFileSystemEntries(Path.Combine(_path, "real")));
    }

    [Fact]
    public void A_link_is_neither_read_nor_written_through()
    {
        var victim = Path.Combine(_path, "victim");
        File.WriteAllText(victim, "untouched");
        File.CreateSymbolicLink(Path.Combine(_path, "name"), victim);
        Assert.Throws<LibcException>(() => _directory.ReadBytes("name", 100));
        _directory.WriteBytes("name", "mine"u8, 0x180, Self);
        Assert.Equal("untouched", File.ReadAllText(victim));
        Assert.Equal("mine", File.ReadAllText(Path.Combine(_path, "name")));
    }

    [Fact]
    public void A_fifo_is_refused_without_waiting_for_a_writer()
    {
        using var made = System.Diagnostics.Process.Start("mkfifo", Path.Combine(_path, "fifo"));
        made.WaitForExit();
        Assert.Throws<IOException>(() => _directory.ReadBytes("fifo", 100));
    }

    [Fact]
    public void A_file_beyond_the_limit_is_refused_before_it_is_read()
    {
        using (var file = File.Create(Path.Combine(_path, "large")))
            file.SetLength(1L << 30);
        Assert.Contains("1073741824 bytes", Assert.Throws<IOException>(() => _directory.ReadBytes("large", 1 << 20)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_way_upwards_is_refused() => Assert.Throws<ArgumentException>(() => _directory.TryOpen("a/../../b"));

    [Fact]
    public void What_does_not_exist_is_null_and_no_error()
    {
        Assert.Null(_directory.TryOpen("no/such"));
        Assert.Null(_directory.ReadBytes("none", 10));
        Assert.Null(_directory.Status("none"));
        _directory.Remove("none");
        _directory.RemoveTree("none", CancellationToken.None);
    }

    [Fact]
    public void Removing_a_tree_stops_at_links()
    {
        var outside = Directory.CreateDirectory(Path.Combine(_path, "outside")).FullName;
        File.WriteAllText(Path.Combine(outside, "kept"), "");
        Directory.CreateDirectory(Path.Combine(_path, "tree", "deep"));
        File.CreateSymbolicLink(Path.Combine(_path, "tree", "deep", "link"), outside);
        _directory.RemoveTree("tree", CancellationToken.None);
        Assert.False(Directory.Exists(Path.Combine(_path, "tree")));
        Assert.True(File.Exists(Path.Combine(outside, "kept")));
    }

    [Fact]
    public void All_names_of_a_large_directory_are_listed()
    {
        var names = Enumerable.Range(0, 2000).Select(i => $"file-with-a-longer-name-{i}").ToHashSet();
        foreach (var name in names)
            File.WriteAllText(Path.Combine(_path, name), "");
        Assert.Equal(names, _directory.Entries().Select(n => n.ToString()).ToHashSet());
        Assert.Equal(2000, _directory.Entries().Count);
    }

    [Fact]
    public void A_directory_appears_with_its_owner_and_its_rights_and_what_an_interrupted_one_left_is_cleared()
    {
        // Where it cannot be renamed it stays under its other name, as after a kill.
        File.WriteAllText(Path.Combine(_path, "a"), "in the way");
        Assert.Throws<LibcException>(() => _directory.CreateChild("a", 0x1ED, Self));
        var unfinished = Assert.Single(Directory.GetDirectories(_path));
        File.Delete(Path.Combine(_path, "a"));
        using var made = _directory.CreateChild("a", 0x1ED, new Owner(1000, 1001));
        Assert.Equal((new Owner(1000, 1001), 0x1EDu), (made.Status().Owner, made.Status().Permissions));
        Assert.False(Directory.Exists(unfinished));
        Assert.Equal([Path.Combine(_path, "a")], Directory.GetFileSystemEntries(_path));
    }

    [Fact]
    public void Modes_are_as_asked_whatever_the_umask()
    {
        using var made = _directory.OpenOrCreate("a/b", 0x1FF, Self);
        _directory.WriteBytes("file", Encoding.UTF8.GetBytes("x"), 0x1B6, Self);
        Assert.Equal(0x1FFu, made.Status().Permissions);
        Assert.Equal(0x1B6u, _directory.Status("file")!.Value.Permissions);
    }
}
