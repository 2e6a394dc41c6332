namespace Discobot.Tests.Fixtures;

/// <summary>Waiting for what happens soon, with a limit.</summary>
internal static class Eventually
{
    public static async Task TrueAsync(Func<Task<bool>> condition)
    {
        for (var i = 0; i < 500; i++)
        {
            if (await condition())
                return;
            await Task.Delay(20);
        }

        Assert.Fail("It did not happen within 10 s.");
    }
}
