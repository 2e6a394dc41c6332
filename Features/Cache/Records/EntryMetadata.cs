using System.Buffers;
using System.Text.Json;

namespace Discobot.Features.Cache.Records;

/// <summary>
/// What stands in <c>&lt;hash&gt;.meta</c>: one JSON object, headers last so that a scan of the directory can stop reading before them.
/// </summary>
internal sealed record EntryMetadata
{
    public const int CurrentVersion = 3;

    /// <summary>The first whose keys have the scheme.</summary>
    private const int SchemeVersion = 2;

    /// <summary>The key's text, as in <see cref="CacheKey.Text"/>.</summary>
    public required string Key { get; init; }

    /// <summary>Bytes of the body.</summary>
    public required long Size { get; init; }

    /// <summary>SHA-256 of the body.</summary>
    public required Hash256 Digest { get; init; }

    /// <summary>Unix time in milliseconds.</summary>
    public required long StoredAt { get; init; }

    public required BodyKind Kind { get; init; }

    /// <summary>What wrote it: of 1 (not written) the key has no scheme; 1 and 2 kept for everybody what a pattern's address without a digest had answered
    /// to a credential.</summary>
    public int Version { get; init; } = CurrentVersion;

    /// <summary>Of the answer.</summary>
    public int Status { get; init; } = 200;

    /// <summary>Seconds that the answer was old when it came (RFC 9111, 4.2.3).</summary>
    public long InitialAge { get; init; }

    /// <summary>The end-to-end header fields of the answer in the order they came, repeated fields as repeated pairs.</summary>
    public required IReadOnlyList<KeyValuePair<string, string>> Headers { get; init; }

    public string? ETag => Header("ETag");

    public string? LastModified => Header("Last-Modified");

    public string? Header(string name)
    {
        foreach (var (field, value) in Headers)
        {
            if (field.Equals(name, StringComparison.OrdinalIgnoreCase))
                return value;
        }

        return null;
    }

    /// <param name="length">Bytes of the file; of one that is to be written, null.</param>
    public CacheEntry ToEntry(long? length = null) => new(Hash256.Of(Key), Digest, Size, StoredAt, string.Intern(CacheKey.OriginOf(Key)), Kind, Version < SchemeVersion)
    {
        MetadataBlocks = CacheEntry.BlocksOf(length ?? ToJson().Length),
    };

    public byte[] ToJson()
    {
        var buffer = new ArrayBufferWriter<byte>(1024);
        using var json = new Utf8JsonWriter(buffer);
        json.WriteStartObject();
        json.WriteNumber("version", Version);
        json.WriteString("key", Key);
        json.WriteNumber("size", Size);
        json.WriteString("sha256", Digest.ToString());
        json.WriteNumber("stored_at", StoredAt);
        json.WriteString("kind", Kind == BodyKind.Manifest ? "manifest" : "blob");
        if (Status != 200)
            json.WriteNumber("status", Status);
        if (InitialAge != 0)
            json.WriteNumber("age", InitialAge);
        json.WriteStartArray("headers");
        foreach (var (name, value) in Headers)
        {
            json.WriteStartArray();
            json.WriteStringValue(name);
            json.WriteStringValue(value);
            json.WriteEndArray();
        }

        json.WriteEndArray();
        json.WriteEndObject();
        json.Flush();
        return buffer.WrittenSpan.ToArray();
    }

    /// <returns>Null when the text is not what <see cref="ToJson"/> writes: torn, altered or another program's.</returns>
    public static EntryMetadata? Parse(ReadOnlySpan<byte> json, bool headers = true)
    {
        try
        {
            return new MetadataReader(json).Read(headers);
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or FormatException)
        {
            return null;
        }
    }

    private ref struct MetadataReader(ReadOnlySpan<byte> text)
    {
        private Utf8JsonReader _json = new(text);

        public EntryMetadata? Read(bool withHeaders)
        {
            string? key = null;
            Hash256? digest = null;
            long size = -1, storedAt = 0, age = 0;
            int version = 1, status = 200;
            var kind = BodyKind.Blob;
            List<KeyValuePair<string, string>>? headers = null;
            _json.Read();
            while (_json.Read() && _json.TokenType == JsonTokenType.PropertyName)
            {
                var name = _json.GetString();
                _json.Read();
                if (name == "headers" && !withHeaders)
                {
                    headers = [];
                    break;
                }

                switch (name)
                {
                    case "version": version = _json.GetInt32(); break;
                    case "key": key = _json.GetString(); break;
                    case "size": size = _json.GetInt64(); break;
                    case "sha256": digest = Hash256.TryParse(_json.GetString(), out var hash) ? hash : null; break;
                    case "stored_at": storedAt = _json.GetInt64(); break;
                    case "kind": kind = _json.ValueTextEquals("manifest"u8) ? BodyKind.Manifest : BodyKind.Blob; break;
                    case "status": status = _json.GetInt32(); break;
                    case "age": age = _json.GetInt64(); break;
                    case "headers": headers = ReadHeaders(); break;
                    default: _json.Skip(); break;
                }
            }

            return key is null || digest is null || size < 0 || headers is null
                ? null
                : new()
                {
                    Key = key,
                    Size = size,
                    Digest = digest.Value,
                    StoredAt = storedAt,
                    Kind = kind,
                    Version = version,
                    Status = status,
                    InitialAge = age,
                    Headers = headers,
                };
        }

        private List<KeyValuePair<string, string>> ReadHeaders()
        {
            var headers = new List<KeyValuePair<string, string>>();
            while (_json.Read() && _json.TokenType == JsonTokenType.StartArray)
            {
                _json.Read();
                var name = _json.GetString();
                _json.Read();
                headers.Add(new(name ?? throw new FormatException(), _json.GetString() ?? throw new FormatException()));
                _json.Read();
            }

            return headers;
        }
    }
}
