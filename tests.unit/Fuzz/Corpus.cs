namespace Discobot.Fuzz;

/// <summary>Inputs worth keeping: real messages, attacks, and everything that ever was a finding.</summary>
internal static class Corpus
{
    private static readonly string Checkout = FindCheckout();

    /// <summary>All inputs of one target: the files of its folder beside this source.</summary>
    public static byte[][] Of(string target) =>
        [.. Directory.EnumerateFiles(Path.Combine(Checkout, "tests.unit", "Fuzz", "Corpus", target)).Order(StringComparer.Ordinal).Select(File.ReadAllBytes)];

    /// <summary>Leaves a file in artifacts/fuzz.</summary>
    public static void Keep(string target, string kind, byte[] content)
    {
        var folder = Directory.CreateDirectory(Path.Combine(Checkout, "artifacts", "fuzz"));
        File.WriteAllBytes(Path.Combine(folder.FullName, $"{target}.{kind}"), content);
    }

    private static string FindCheckout()
    {
        var folder = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(folder, "Discobot.sln")))
            folder = Path.GetDirectoryName(folder) ?? throw new DirectoryNotFoundException("The tests do not run inside a checkout.");
        return folder;
    }
}
