using System.Text.Json;
using Discobot.Infrastructure.Config;

namespace Discobot.Features.Audit;

/// <summary>The <c>audit</c> section. All of it needs a restart.</summary>
internal sealed record AuditOptions
{
    public bool Enabled { get; init; } = true;

    /// <summary>An absolute path; null: <c>audit.jsonl</c> beside the API's token.</summary>
    public string? File { get; init; }

    /// <summary>How large the file may become before it is renamed and begun anew, in bytes; 0 is no limit.</summary>
    public long MaxSize { get; init; } = 64 << 20;

    /// <summary>How many files that were full stay, as <c>file.1</c> and so on.</summary>
    public int Keep { get; init; } = 5;

    /// <summary>Reads the section; what is not written is as in <paramref name="fallback"/>.</summary>
    public static AuditOptions Read(ConfigNode section, AuditOptions? fallback = null)
    {
        fallback ??= new AuditOptions();
        return new AuditOptions
        {
            Enabled = section["enabled"].AsBool(fallback.Enabled),
            File = section["file"].AsPath(fallback.File),
            MaxSize = section["max_size"].AsSize(fallback.MaxSize, 0),
            Keep = section["keep"].AsInt(fallback.Keep, 0, 1000),
        };
    }

    /// <summary>The file that is written.</summary>
    /// <param name="tokenFile">The API's, beside which it is where nothing else is said.</param>
    public string Path(string tokenFile) => File ?? System.IO.Path.Combine(System.IO.Path.GetDirectoryName(tokenFile) ?? "/", "audit.jsonl");

    /// <summary>The section as JSON.</summary>
    public void Write(Utf8JsonWriter json, string tokenFile)
    {
        json.WriteStartObject();
        json.WriteBoolean("enabled", Enabled);
        json.WriteString("file", Path(tokenFile));
        json.WriteString("max_size", Quantity.Format(MaxSize));
        json.WriteNumber("keep", Keep);
        json.WriteEndObject();
    }
}
