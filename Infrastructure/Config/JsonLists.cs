using System.Text.Json;

namespace Discobot.Infrastructure.Config;

internal static class JsonLists
{
    /// <summary>Writes a property whose value is a list of texts.</summary>
    public static void WriteList<T>(this Utf8JsonWriter json, string name, IEnumerable<T> items)
    {
        json.WriteStartArray(name);
        foreach (var item in items)
            json.WriteStringValue(item?.ToString());
        json.WriteEndArray();
    }
}
