using System.Diagnostics;
using Discobot.Integration.Fixtures;

namespace Discobot.Integration.Images;

/// <summary>When <c>make binary</c> compiles, in a directory with the Makefile of the checkout and sources of the test's own.</summary>
public sealed class MakeTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("make-").FullName;

    public MakeTests()
    {
        Write("build/binary.sh", "#!/bin/sh\necho compiled >>runs\ntouch artifacts/discobot\n");
        File.SetUnixFileMode(At("build/binary.sh"), (UnixFileMode)0b111_101_101);
        foreach (var file in new[] { "Program.cs", "Discobot.csproj", "Directory.Build.props", "Directory.Packages.props", "global.json", "build/hot-methods.txt" })
            Write(file, "");
        Write("Features/A/A.cs", "");
        Write("Features/A/a.yaml", "");
        Write("Features/A/A.Tests.cs", "");
        Write("Infrastructure/B.cs", "");
        File.Copy(Path.Combine(Binary.Checkout, "Makefile"), At("Makefile"));
    }

    public void Dispose() => Directory.Delete(_directory, true);

    [Fact]
    public async Task A_source_that_is_new_changed_or_gone_compiles_once_and_a_test_never()
    {
        Assert.Equal(1, await CompiledAsync());
        Assert.Equal(1, await CompiledAsync());
        File.Delete(At("Infrastructure/B.cs"));
        Assert.Equal(2, await CompiledAsync());
        Assert.Equal(2, await CompiledAsync());
        Write("Features/A/C.cs", "");
        Assert.Equal(3, await CompiledAsync());
        Write("Features/A/a.yaml", "changed: true");
        Assert.Equal(4, await CompiledAsync());
        File.Delete(At("Features/A/A.Tests.cs"));
        Write("Features/A/B.Tests.cs", "");
        Assert.Equal(4, await CompiledAsync());
    }

    private async Task<int> CompiledAsync()
    {
        // File systems count time in ticks; what is written next is younger than what was made.
        await Task.Delay(20);
        using var make = Process.Start(new ProcessStartInfo("make", ["binary"]) { WorkingDirectory = _directory, RedirectStandardOutput = true, RedirectStandardError = true })!;
        var said = await make.StandardOutput.ReadToEndAsync() + await make.StandardError.ReadToEndAsync();
        await make.WaitForExitAsync();
        Assert.True(make.ExitCode == 0, said);
        await Task.Delay(20);
        return File.ReadAllLines(At("runs")).Length;
    }

    private string At(string path) => Path.Combine(_directory, path);

    private void Write(string path, string text)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(At(path))!);
        File.WriteAllText(At(path), text);
    }
}
