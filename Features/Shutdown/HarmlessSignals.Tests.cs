using Discobot.Infrastructure.Native;

namespace Discobot.Features.Shutdown;

public class HarmlessSignalsTests
{
    // Sent to this very process: one that is not caught ends the run. USR2, ALRM, TTIN, TTOU, WINCH, IO, PWR and their like.
    [Fact]
    public async Task No_signal_that_tools_send_ends_or_stops_the_process()
    {
        using var harmless = new HarmlessSignals();
        foreach (var signal in (int[])[10, 12, 13, 14, 16, 21, 22, 25, 26, 27, 28, 29, 30])
            Assert.Equal(0, Libc.Kill(Environment.ProcessId, signal));
        // By time: one that is not caught would end the run meanwhile.
        await Task.Delay(200);
    }
}
