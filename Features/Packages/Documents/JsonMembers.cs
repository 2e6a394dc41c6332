using System.Buffers;
using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Text.Json;

namespace Discobot.Features.Packages.Documents;

/// <summary>
/// The members of a JSON object, each as the bytes that were sent. Of a name that stands there twice the last counts, as it does for the clients; what
/// is written of it has it once.
/// </summary>
internal sealed class JsonMembers
{
    private readonly List<(string Name, ReadOnlyMemory<byte> Value)> _members = [];
    private readonly Dictionary<string, int> _places = [];

    private JsonMembers()
    {
    }

    public IReadOnlyList<(string Name, ReadOnlyMemory<byte> Value)> All => _members;

    public ReadOnlyMemory<byte>? this[string name] => _places.TryGetValue(name, out var place) ? _members[place].Value : (ReadOnlyMemory<byte>?)null;

    /// <summary>Reads an object; false when it is another value or malformed.</summary>
    public static bool TryRead(ReadOnlyMemory<byte> text, [NotNullWhen(true)] out JsonMembers? members)
    {
        members = null;
        try
        {
            var reader = new Utf8JsonReader(text.Span);
            if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject)
                return false;
            var read = new JsonMembers();
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                var name = reader.GetString()!;
                reader.Read();
                var start = (int)reader.TokenStartIndex;
                reader.Skip();
                read.Set(name, text[start..(int)reader.BytesConsumed]);
            }

            if (reader.Read())
                return false;
            members = read;
            return true;
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            return false;
        }
    }

    /// <summary>Whether it is one well-formed value of JSON and nothing else.</summary>
    public static bool IsValue(ReadOnlyMemory<byte> text)
    {
        try
        {
            var reader = new Utf8JsonReader(text.Span);
            while (reader.Read())
            {
            }

            return true;
        }
        catch (JsonException)
        {
            return false;
        }
    }

    /// <summary>The elements of an array; empty when it is none.</summary>
    public static List<ReadOnlyMemory<byte>> Elements(ReadOnlyMemory<byte> text)
    {
        var elements = new List<ReadOnlyMemory<byte>>();
        try
        {
            var reader = new Utf8JsonReader(text.Span);
            if (!reader.Read() || reader.TokenType != JsonTokenType.StartArray)
                return elements;
            while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
            {
                var start = (int)reader.TokenStartIndex;
                reader.Skip();
                elements.Add(text[start..(int)reader.BytesConsumed]);
            }

            return elements;
        }
        catch (JsonException)
        {
            return [];
        }
    }

    /// <summary>A member's text; null when it is absent or another value.</summary>
    public string? Text(string name) => this[name] is { } value ? TextOf(value) : null;

    /// <summary>A string's text; null of another value.</summary>
    public static string? TextOf(ReadOnlyMemory<byte> value)
    {
        try
        {
            var reader = new Utf8JsonReader(value.Span);
            return reader.Read() && reader.TokenType == JsonTokenType.String ? reader.GetString() : null;
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            return null;
        }
    }

    /// <summary>A member's time (RFC 3339); null when it is absent or cannot be read.</summary>
    public DateTimeOffset? Time(string name) => TimeOf(Text(name));

    /// <summary>A time as registries write it; without an offset it is UTC.</summary>
    public static DateTimeOffset? TimeOf(string? text) =>
        text is { Length: >= 19 and <= 40 } && char.IsAsciiDigit(text[0]) && text[10] is 'T' or 't' or ' '
        && DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal | DateTimeStyles.AdjustToUniversal, out var time)
            ? time : null;

    /// <summary>A time as npm writes it.</summary>
    public static string TextOf(DateTimeOffset time) => time.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture);

    /// <summary>An object of these members.</summary>
    public static void Write(Utf8JsonWriter json, IEnumerable<(string Name, ReadOnlyMemory<byte> Value)> members) => Write(json, members, static (_, _) => false);

    /// <summary>The object again, with some members otherwise.</summary>
    /// <param name="other">Writes the value of one that is another, and says so.</param>
    public void Write(Utf8JsonWriter json, Func<string, ReadOnlyMemory<byte>, bool> other) => Write(json, All, other);

    /// <inheritdoc cref="Write(Utf8JsonWriter, Func{string, ReadOnlyMemory{byte}, bool})"/>
    public byte[] With(Func<Utf8JsonWriter, string, ReadOnlyMemory<byte>, bool> other)
    {
        var output = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(output, new JsonWriterOptions { SkipValidation = true }))
            Write(json, (name, value) => other(json, name, value));
        return output.WrittenSpan.ToArray();
    }

    private static void Write(Utf8JsonWriter json, IEnumerable<(string Name, ReadOnlyMemory<byte> Value)> members, Func<string, ReadOnlyMemory<byte>, bool> other)
    {
        json.WriteStartObject();
        foreach (var (name, value) in members)
        {
            json.WritePropertyName(name);
            if (!other(name, value))
                json.WriteRawValue(value.Span, skipInputValidation: true);
        }

        json.WriteEndObject();
    }

    private void Set(string name, ReadOnlyMemory<byte> value)
    {
        if (_places.TryAdd(name, _members.Count))
            _members.Add((name, value));
        else
            _members[_places[name]] = (name, value);
    }
}
