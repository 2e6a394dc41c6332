namespace Discobot.Infrastructure.Native.Files;

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

    /// <summary>Made and read by Python, which knows all of it.</summary>
    [Fact]
    public void Hard_links_setgid_extended_attributes_and_capabilities_survive()
    {
        Python("""
            import os, sys, struct
            os.chdir(sys.argv[1]); os.mkdir("pkgs"); os.makedirs("envs/deep"); open("pkgs/a", "w").write("x")
            for n in ("envs/1", "envs/deep/2", "pkgs/b"): os.link("pkgs/a", n)
            os.mkdir("shared"); os.chown("shared", 65534, 4242); os.chmod("shared", 0o2775)
            open("prog", "w").write("x"); os.chown("prog", 65534, 65534); os.chmod("prog", 0o4755); os.setxattr("prog", "security.capability", struct.pack("<5I", 0x02000001, 1 << 10, 0, 0, 0))
            open("other", "w").write("x"); os.chmod("other", 0o4755); os.setxattr("other", "user.mine", b"value"); os.setxattr("shared", "user.of-directory", b"v")
            """, _source);
        using (var source = DirectoryHandle.OpenTrusted(_source))
        using (var target = DirectoryHandle.OpenTrusted(_target))
            new TreeCopy(new Owner(65534, 65534)) { Capabilities = true }.Run(source, target, CancellationToken.None);
        Python("""
            import os, sys
            os.chdir(sys.argv[1]); s = os.stat
            assert len({s(n).st_ino for n in ("pkgs/a", "pkgs/b", "envs/1", "envs/deep/2")}) == 1 and s("pkgs/a").st_nlink == 4
            assert (s("shared").st_uid, s("shared").st_gid, oct(s("shared").st_mode)) == (65534, 4242, "0o42775"), s("shared")
            assert oct(s("prog").st_mode) == "0o104755" and len(os.getxattr("prog", "security.capability")) == 20
            assert oct(s("other").st_mode) == "0o100755" and s("other").st_uid == 65534 and os.getxattr("other", "user.mine") == b"value"
            assert os.getxattr("shared", "user.of-directory") == b"v"
            """, _target);
    }

    [Fact]
    public void A_source_that_is_not_trusted_brings_no_capability()
    {
        Python("import os, sys, struct; os.chdir(sys.argv[1]); open('p', 'w'); os.setxattr('p', 'security.capability', struct.pack('<5I', 0x02000001, 1 << 21, 0, 0, 0))", _source);
        Run();
        Python("import os, sys; assert os.listxattr(sys.argv[1] + '/p') == []", _target);
    }

    /// <summary>On one file system and from one to another, and at every edge: a file that begins, or ends, with a hole, and one that is nothing else.</summary>
    [Theory]
    [InlineData("/tmp")]
    [InlineData("/dev/shm")]
    public void A_hole_stays_a_hole_and_every_byte_is_in_its_place(string elsewhere)
    {
        const string Made = """
            import os, sys
            os.chdir(sys.argv[1]); M = 1 << 20
            files = {"begins": (300 * M, [(0, b"a" * 70000)]), "ends": (300 * M, [(300 * M - 9, b"b" * 9)]), "middle": (300 * M + 5, [(M, b"c"), (200 * M + 3, b"d" * 5 * M)]), "none": (300 * M, []),
                "full": (20 * M + 1, [(0, b"e" * (20 * M + 1))]), "empty": (0, [])}
            """;
        var target = Directory.CreateDirectory(Path.Combine(elsewhere, "copy-to-" + Path.GetRandomFileName())).FullName;
        Python(Made + """

            for name, (size, parts) in files.items():
                with open(name, "wb") as f:
                    f.truncate(size)
                    for at, data in parts: f.seek(at); f.write(data)
            """, _source);
        using (var from = DirectoryHandle.OpenTrusted(_source))
        using (var to = DirectoryHandle.OpenTrusted(target))
            new TreeCopy(null).Run(from, to, CancellationToken.None);
        Python(Made + """

            for name, (size, parts) in files.items():
                s = os.stat(name); held = sum(len(data) for _, data in parts)
                assert s.st_size == size and s.st_blocks * 512 <= held + (1 << 18), (name, s)
                with open(name, "rb") as f:
                    for at, data in parts: f.seek(at); assert f.read(len(data)) == data, name
                    f.seek(0); assert sum(len(c) - c.count(0) for c in iter(lambda: f.read(M), b"")) == held, name
            """, target);
        Directory.Delete(target, true);
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

    private static void Python(string script, string directory)
    {
        var text = string.Join('\n', script.Split('\n'));
        using var process = System.Diagnostics.Process.Start(new System.Diagnostics.ProcessStartInfo("python3", ["-c", text, directory]))!;
        process.WaitForExit();
        Assert.Equal(0, process.ExitCode);
    }
}
