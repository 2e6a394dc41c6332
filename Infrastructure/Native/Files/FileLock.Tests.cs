namespace Discobot.Infrastructure.Native.Files;

public sealed class FileLockTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("lock-").FullName;

    public void Dispose() => Directory.Delete(_directory, true);

    [Fact]
    public void The_second_is_told_who_has_it_and_gets_it_when_the_first_is_gone()
    {
        using var directory = DirectoryHandle.OpenTrusted(_directory);
        string first = "the first", second = "the second", third = "the third";
        using (Assert.IsType<FileLock>(FileLock.TryTake(directory, "lock", ref first)))
        {
            Assert.Null(FileLock.TryTake(directory, "lock", ref second));
            Assert.Equal("the first", second);
        }

        using var taken = FileLock.TryTake(directory, "lock", ref third);
        Assert.NotNull(taken);
        Assert.Equal("the third\n", System.Text.Encoding.UTF8.GetString(directory.ReadBytes("lock", 100)!));
    }

    [Fact]
    public void What_is_kept_for_life_is_held_though_nobody_refers_to_it()
    {
        using var directory = DirectoryHandle.OpenTrusted(_directory);
        Keep(directory);
        GC.Collect();
        GC.WaitForPendingFinalizers();
        GC.Collect();
        var me = "me";
        Assert.Null(FileLock.TryTake(directory, "lock", ref me));
    }

    /// <summary>Whoever finds something else in its place clears it away, and takes nothing away that another has locked there meanwhile.</summary>
    [Theory]
    [InlineData("mkfifo")]
    [InlineData("ln -s /dev/null")]
    [InlineData("mkdir -p lock/below && true")]
    public async Task Of_many_that_find_something_else_in_its_place_one_has_it(string make)
    {
        for (var round = 0; round < 50; round++)
        {
            using (var made = System.Diagnostics.Process.Start(new System.Diagnostics.ProcessStartInfo("sh", ["-c", $"rm -rf lock; {make} lock"]) { WorkingDirectory = _directory })!)
                await made.WaitForExitAsync();
            using var begin = new Barrier(4);
            var taken = await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Task.Factory.StartNew(
                () =>
                {
                    using var directory = DirectoryHandle.OpenTrusted(_directory);
                    var me = "me";
                    begin.SignalAndWait();
                    return FileLock.TryTake(directory, "lock", ref me);
                },
                CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default)));
            Assert.Single(taken, one => one is not null);
            Array.ForEach(taken, one => one?.Dispose());
        }
    }

    [Fact]
    public void A_lock_on_a_file_that_has_lost_its_name_is_none()
    {
        using var directory = DirectoryHandle.OpenTrusted(_directory);
        using var file = directory.OpenOrCreateFile("lock", 0x180);
        Assert.True(directory.IsNameOf("lock", file));
        File.Delete(Path.Combine(_directory, "lock"));
        Assert.False(directory.IsNameOf("lock", file));
        File.WriteAllText(Path.Combine(_directory, "lock"), "");
        Assert.False(directory.IsNameOf("lock", file));
    }

    /// <summary>A program that is started while it is held, and lives on, does not hold it.</summary>
    [Fact]
    public void No_program_inherits_it()
    {
        using var directory = DirectoryHandle.OpenTrusted(_directory);
        var me = "me";
        using (FileLock.TryTake(directory, "lock", ref me))
        {
            using var child = System.Diagnostics.Process.Start("sleep", "30");
            var open = Directory.GetFiles($"/proc/{child.Id}/fd").Select(f => new FileInfo(f).LinkTarget);
            child.Kill();
            child.WaitForExit();
            Assert.DoesNotContain(Path.Combine(_directory, "lock"), open);
        }
    }

    [System.Runtime.CompilerServices.MethodImpl(System.Runtime.CompilerServices.MethodImplOptions.NoInlining)]
    private static void Keep(DirectoryHandle directory)
    {
        var me = "me";
        FileLock.TryTake(directory, "lock", ref me)!.KeepForLife();
    }
}
