using System.Diagnostics;
using Discobot.Integration.Fixtures;

namespace Discobot.Integration.Images;

/// <summary>When <c>make binary</c> compiles and what <c>make bench-quick</c> says, in a directory with copies of the checkout's scripts.</summary>
public sealed class MakeTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("make-").FullName;

    public MakeTests()
    {
        Write("build/binary.sh", "#!/bin/sh\necho compiled >>runs\ntouch artifacts/discobot\n");
        File.SetUnixFileMode(At("build/binary.sh"), (UnixFileMode)0b111_101_101);
        foreach (var file in new[] { "Program.cs", "Discobot.csproj", "Directory.Build.props", "Directory.Packages.props", "global.json", "build/Rooms.props", "docs/configuration.md" })
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

    /// <summary>It needs namespaces, which nobody may make who is not root: then nothing is measured, and that must not look like a good result.</summary>
    [Fact]
    public async Task A_quick_benchmark_that_cannot_measure_ends_with_a_line_that_says_so()
    {
        foreach (var script in new[] { "bench/run.sh", "build/common.sh" })
        {
            Directory.CreateDirectory(Path.GetDirectoryName(At(script))!);
            File.Copy(Path.Combine(Binary.Checkout, script), At(script));
        }

        Write("artifacts/discobot", "");
        File.SetUnixFileMode(_directory, (UnixFileMode)0b111_101_101);
        string[] nobody = Environment.IsPrivilegedProcess ? ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] : ["env"];
        var (code, said) = await RunAsync([.. nobody, "bash", "bench/run.sh", "--quick"]);
        Assert.True(code == 0, said);
        Assert.StartsWith("bench-quick: NOT MEASURED: ", said.TrimEnd('\n').Split('\n')[^1], StringComparison.Ordinal);
    }

    private async Task<int> CompiledAsync()
    {
        // By time: file systems count time in ticks; what is written next is younger than what was made.
        await Task.Delay(20);
        var (code, said) = await RunAsync("make", "binary");
        Assert.True(code == 0, said);
        // By time: the same of what is written next.
        await Task.Delay(20);
        return File.ReadAllLines(At("runs")).Length;
    }

    private async Task<(int Code, string Output)> RunAsync(params string[] command)
    {
        using var process = Process.Start(new ProcessStartInfo(command[0], command[1..])
        {
            WorkingDirectory = _directory,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;
        var errors = process.StandardError.ReadToEndAsync();
        var output = await process.StandardOutput.ReadToEndAsync();
        await process.WaitForExitAsync();
        return (process.ExitCode, await errors + output);
    }

    private string At(string path) => Path.Combine(_directory, path);

    private void Write(string path, string text)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(At(path))!);
        File.WriteAllText(At(path), text);
    }
}
