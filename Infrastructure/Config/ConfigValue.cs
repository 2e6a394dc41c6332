namespace Discobot.Infrastructure.Config;

internal enum ConfigKind
{
    Null,
    Scalar,
    List,
    Mapping,
}

/// <summary>One parsed value of a YAML or JSON text, before anyone asks what it means.</summary>
/// <param name="Kind">Its shape.</param>
/// <param name="Place">Where it begins.</param>
/// <param name="Text">The scalar's text; empty for other kinds.</param>
/// <param name="Items">The list's items; empty for other kinds.</param>
/// <param name="Entries">The mapping's entries in the order written, keys unique; empty for other kinds.</param>
/// <param name="Weight">How many values it holds with itself, aliases written out: what a walk over it costs.</param>
internal sealed record ConfigValue(
    ConfigKind Kind,
    ConfigPlace Place,
    string Text,
    IReadOnlyList<ConfigValue> Items,
    IReadOnlyList<ConfigEntry> Entries,
    int Weight)
{
    public static ConfigValue Null(ConfigPlace place) => new(ConfigKind.Null, place, "", [], [], 1);

    public static ConfigValue Scalar(ConfigPlace place, string text) => new(ConfigKind.Scalar, place, text, [], [], 1);
}

internal sealed record ConfigEntry(string Key, ConfigPlace Place, ConfigValue Value);
