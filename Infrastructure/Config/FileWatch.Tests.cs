namespace Discobot.Infrastructure.Config;

public sealed class FileWatchTests : IDisposable
{
    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("watch");
    private readonly CancellationTokenSource _end = new();

    private string FilePath => Path.Combine(_directory.FullName, "config.yaml");

    public void Dispose()
    {
        _end.Cancel();
        _end.Dispose();
        _directory.Delete(recursive: true);
    }

    // Runs a watch and gives what its callback read, waiting at most five seconds for the expected text.
    private async Task SeesAsync(params (Action Change, string Expected)[] steps)
    {
        var content = "";
        var watch = new FileWatch(FilePath, TimeProvider.System)
            .RunAsync(() => Volatile.Write(ref content, File.Exists(FilePath) ? File.ReadAllText(FilePath) : "gone"), _end.Token);
        foreach (var (change, expected) in steps)
        {
            change();
            for (var waited = 0; Volatile.Read(ref content) != expected; waited++)
            {
                Assert.True(waited < 500, $"expected {expected}, saw {Volatile.Read(ref content)}");
                await Task.Delay(10);
            }
        }

        await _end.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => watch);
    }

    [Fact]
    public Task A_file_written_in_place_renamed_over_removed_and_returned_is_seen()
    {
        File.WriteAllText(FilePath, "one");
        return SeesAsync(
            (() => { }, "one"),
            (() => File.WriteAllText(FilePath, "two"), "two"),
            (() =>
            {
                File.WriteAllText(FilePath + "~", "three");
                File.Move(FilePath + "~", FilePath, overwrite: true);
            }, "three"),
            (() => File.Delete(FilePath), "gone"),
            (() => File.WriteAllText(FilePath, "four"), "four"));
    }

    [Fact]
    public Task A_swapped_data_link_as_in_a_Kubernetes_volume_is_seen()
    {
        var first = _directory.CreateSubdirectory("..2026_01");
        var second = _directory.CreateSubdirectory("..2026_02");
        File.WriteAllText(Path.Combine(first.FullName, "config.yaml"), "one");
        File.WriteAllText(Path.Combine(second.FullName, "config.yaml"), "two");
        var data = Path.Combine(_directory.FullName, "..data");
        Directory.CreateSymbolicLink(data, "..2026_01");
        File.CreateSymbolicLink(FilePath, "..data/config.yaml");
        return SeesAsync(
            (() => { }, "one"),
            (() =>
            {
                Directory.CreateSymbolicLink(data + "_tmp", "..2026_02");
                // As the kubelet does: rename(2) over the old link, which File.Move refuses for links to directories.
                using var mv = System.Diagnostics.Process.Start("mv", ["-T", data + "_tmp", data]);
                mv.WaitForExit();
            }, "two"));
    }

    [Fact]
    public Task A_link_whose_target_elsewhere_changes_is_seen_by_looking()
    {
        var elsewhere = Path.Combine(_directory.CreateSubdirectory("elsewhere").FullName, "real.yaml");
        File.WriteAllText(elsewhere, "one");
        File.CreateSymbolicLink(FilePath, elsewhere);
        return SeesAsync((() => { }, "one"), (() => File.WriteAllText(elsewhere, "two and more"), "two and more"));
    }
}
