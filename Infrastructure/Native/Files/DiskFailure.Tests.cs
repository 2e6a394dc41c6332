using System.Runtime.InteropServices;

namespace Discobot.Infrastructure.Native.Files;

/// <summary>The kernel's own errors, as .NET tells them.</summary>
public sealed class DiskFailureTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("discobot-test-").FullName;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Fact]
    public void Whatever_a_file_system_says_is_one()
    {
        Assert.True(DiskFailure.Is(Of(() => Write("/dev/full", 0))), "ENOSPC");
        Assert.True(DiskFailure.Is(Of(() => Write("/proc/self/mem", 0))), "EIO");
        Assert.True(DiskFailure.Is(Of(() => Write(_directory, 0))), "EISDIR");
        Assert.True(DiskFailure.Is(Of(() => Write(Path.Join(_directory, "none/file"), 0))), "ENOENT");
        var tooLarge = Of(() => Write(Path.Join(_directory, "file"), 1L << 62));
        Assert.True(DiskFailure.Is(tooLarge) && DiskFailure.IsTooLarge(tooLarge), $"EFBIG {tooLarge}");
        foreach (var number in (int[])[5, 13, 23, 24, 27, 28, 30, 122])
            Assert.True(DiskFailure.Is(new LibcException("write", "file", number)), Marshal.GetPInvokeErrorMessage(number));
    }

    [Fact]
    public void What_writes_with_words_of_its_own_fails_with_those_alone()
    {
        using var file = File.OpenHandle(Path.Join(_directory, "file"), FileMode.CreateNew, FileAccess.Write);
        Assert.IsType<IOException>(Record.Exception(() => DiskFailure.Write(file, "x"u8, 1L << 62)));
        DiskFailure.Write(file, "x"u8, 0);
        Assert.Equal(1, RandomAccess.GetLength(file));
    }

    [Fact]
    public void A_mistake_of_ours_is_none()
    {
        Assert.False(DiskFailure.Is(new ArgumentOutOfRangeException("index")));
        Assert.False(DiskFailure.Is(new ArgumentNullException("value")));
        Assert.False(DiskFailure.Is(new InvalidOperationException()));
    }

    private static void Write(string path, long offset)
    {
        using var file = File.OpenHandle(path, File.Exists(path) ? FileMode.Open : FileMode.CreateNew, FileAccess.Write);
        RandomAccess.Write(file, "x"u8, offset);
    }

    private static Exception Of(Action action) => Record.Exception(action) ?? throw new InvalidOperationException("nothing failed");
}
