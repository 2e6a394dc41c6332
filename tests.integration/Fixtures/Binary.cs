namespace Discobot.Integration.Fixtures;

/// <summary>The executable under test: always the one that ships.</summary>
internal static class Binary
{
    /// <summary>The top of the checkout.</summary>
    public static string Checkout { get; } = FindCheckout();

    /// <summary>artifacts/discobot; its absence is an error that says how to mend it.</summary>
    public static string Path
    {
        get
        {
            var path = System.IO.Path.Combine(Checkout, "artifacts", "discobot");
            return File.Exists(path) ? path : throw new FileNotFoundException($"{path} is missing; run: make binary");
        }
    }

    private static string FindCheckout()
    {
        var folder = AppContext.BaseDirectory;
        while (!File.Exists(System.IO.Path.Combine(folder, "Discobot.sln")))
            folder = System.IO.Path.GetDirectoryName(folder) ?? throw new DirectoryNotFoundException("The tests do not run inside a checkout.");
        return folder;
    }
}
