namespace Discobot.Tests.Fixtures;

internal static class Checkout
{
    /// <summary>The directory of the solution, in which the tests have been built.</summary>
    public static string Top()
    {
        var top = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(top, "Discobot.sln")))
            top = Path.GetDirectoryName(top) ?? throw new DirectoryNotFoundException("The tests do not run inside a checkout.");
        return top;
    }
}
