using System.Diagnostics;
using Discobot.Integration.Fixtures;

namespace Discobot.Integration.Configuration;

/// <summary>A configuration that comes by a pipe.</summary>
public sealed class StandardInputTests
{
    [Theory]
    [InlineData("cache: {max_size: 20G}", 0, "stdin: ok\n")]
    [InlineData("cache: {max_size: none}", 2, "stdin:1:19: cache.max_size: must be a size")]
    public async Task It_is_checked_and_called_what_it_is(string yaml, int code, string told)
    {
        var start = new ProcessStartInfo(Binary.Path, ["config", "check", "-"]) { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true };
        using var check = Process.Start(start)!;
        await check.StandardInput.WriteAsync(yaml);
        check.StandardInput.Close();
        var output = await check.StandardOutput.ReadToEndAsync() + await check.StandardError.ReadToEndAsync();
        await check.WaitForExitAsync();
        Assert.Equal(code, check.ExitCode);
        Assert.StartsWith(told, output, StringComparison.Ordinal);
    }
}
