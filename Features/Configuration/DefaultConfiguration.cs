namespace Discobot.Features.Configuration;

/// <summary>The built-in configuration as a person would write it: what the init puts where no file is.</summary>
internal static class DefaultConfiguration
{
    /// <summary>The YAML text, comments included.</summary>
    public static string Text()
    {
        using var stream = typeof(DefaultConfiguration).Assembly.GetManifestResourceStream("default.yaml")!;
        using var reader = new StreamReader(stream);
        return reader.ReadToEnd();
    }
}
