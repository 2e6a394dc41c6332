namespace Discobot.Infrastructure.Native.Files;

public sealed class TreeMirrorTests
{
    [Fact]
    public void The_target_becomes_the_same_and_what_is_the_same_already_is_not_copied()
    {
        var top = Directory.CreateTempSubdirectory("mirror-");
        var (from, to) = (top.CreateSubdirectory("from").FullName, top.CreateSubdirectory("to").FullName);
        foreach (var (path, content) in new[] { ("same", "x"), ("changed", "new!"), ("added", "y"), ("kind/inner", "z") })
            Write(Path.Combine(from, path), content);
        foreach (var (path, content) in new[] { ("same", "x"), ("changed", "old"), ("gone/deep", "y"), ("kind", "was a file") })
            Write(Path.Combine(to, path), content);
        var copy = new TreeCopy(null);
        using (var source = DirectoryHandle.OpenTrusted(from))
        using (var target = DirectoryHandle.OpenTrusted(to))
            new TreeMirror(copy).Run(source, target, CancellationToken.None);
        Assert.Equal(["added", "changed", "kind", "kind/inner", "same"], Directory.GetFileSystemEntries(to, "*", SearchOption.AllDirectories).Select(p => Path.GetRelativePath(to, p)).Order());
        Assert.Equal("new!", File.ReadAllText(Path.Combine(to, "changed")));
        Assert.Equal(4, copy.Copied);
        top.Delete(true);
    }

    private static void Write(string path, string content)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        File.WriteAllText(path, content);
        File.SetLastWriteTimeUtc(path, DateTime.UnixEpoch.AddDays(1)); // Alike, so that size alone tells.
    }
}
