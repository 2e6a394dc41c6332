namespace Discobot.Tests.Fixtures;

/// <summary>Waiting for what happens soon, with a limit.</summary>
internal static class Eventually
{
    public static async Task TrueAsync(Func<Task<bool>> condition)
    {
        for (var deadline = Environment.TickCount64 + 20_000; Environment.TickCount64 < deadline;)
        {
            if (await condition())
                return;
            await Task.Delay(20);
        }

        Assert.Fail("It did not happen within 20 s.");
    }
}
