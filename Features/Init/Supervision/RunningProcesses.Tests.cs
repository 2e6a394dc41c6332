using Discobot.Infrastructure.Native;
using Discobot.Tests.Fixtures;

namespace Discobot.Features.Init.Supervision;

public sealed class RunningProcessesTests : IDisposable
{
    private readonly StringWriter _lines = new();
    private readonly InitLog _log;
    private readonly Spawner _spawner = new(Executable.Path);
    private readonly RunningProcesses _running = new();

    public RunningProcessesTests() => _log = new InitLog(_lines.WriteLine, _lines.WriteLine);

    public void Dispose()
    {
        _running.Dispose();
        _spawner.Dispose();
    }

    [Fact]
    public async Task What_ends_is_told_with_its_code_and_started_again_though_a_try_fails()
    {
        var tries = 0;
        var last = new TaskCompletionSource<ChildProcess>();
        _running.Supervise("daemon", await StartAsync("exit 9"), async _ =>
        {
            if (++tries == 1)
                throw new System.ComponentModel.Win32Exception("no memory");
            var child = await StartAsync("exec sleep 1000");
            last.SetResult(child);
            return child;
        }, _log);
        var running = await last.Task.WaitAsync(TimeSpan.FromSeconds(20));
        var said = Said();
        Assert.Matches(@"error: daemon \(pid=[0-9]+\) ended unexpectedly with exit code 9\n", said);
        Assert.Contains("error: daemon could not be started again: no memory\n", said, StringComparison.Ordinal);
        Assert.Contains("starting daemon again in 1.000s\n", said, StringComparison.Ordinal);
        Assert.False(running.Exited.IsCompleted);

        // After the stop has begun nothing is started any more.
        await _running.BeginStopAsync();
        running.SendToGroup(Signal.Kill);
        Assert.Equal(137, await running.Exited);
        Assert.Equal(2, tries);
        Assert.DoesNotContain("137", Said(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_failure_in_the_background_is_told_and_does_not_disturb_the_stop()
    {
        _running.InBackground("relay", static async _ =>
        {
            await Task.Yield();
            throw new InvalidOperationException("broken");
        }, _log);
        var ended = false;
        _running.InBackground("other", async stop =>
        {
            try
            {
                await Task.Delay(Timeout.Infinite, stop);
            }
            finally
            {
                ended = true;
            }
        }, _log);
        await Eventually.TrueAsync(() => Task.FromResult(Said().Contains("error: relay failed: broken\n", StringComparison.Ordinal)));
        await _running.BeginStopAsync();
        Assert.True(ended);
    }

    private string Said() => _lines.ToString();

    private Task<ChildProcess> StartAsync(string script) => _spawner.StartAsync(new Launch("daemon", ["/bin/sh", "-c", script]));
}
