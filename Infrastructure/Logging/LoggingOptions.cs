using System.Text.Json;
using Discobot.Infrastructure.Config;
using Microsoft.Extensions.Logging;

namespace Discobot.Infrastructure.Logging;

internal enum LogFormat
{
    /// <summary><c>INFO  request    method=GET host=…</c>, one line an event.</summary>
    Text,

    /// <summary>One JSON object a line.</summary>
    Json,
}

/// <summary>The <c>logging</c> section. The level is live; the rest needs a restart.</summary>
internal sealed record LoggingOptions
{
    /// <summary>The least that is written.</summary>
    public LogLevel Level { get; init; } = LogLevel.Information;

    public LogFormat Format { get; init; } = LogFormat.Text;

    /// <summary>An absolute path; null is the standard output.</summary>
    public string? File { get; init; }

    /// <summary>How large the file may become before it is renamed and begun anew, in bytes; 0 is no limit.</summary>
    public long MaxSize { get; init; }

    /// <summary>How many files that were full stay, as <c>file.1</c> and so on.</summary>
    public int Keep { get; init; } = 5;

    /// <summary>Lines of text begin with the time (UTC, RFC 3339). JSON always has it.</summary>
    public bool Time { get; init; }

    /// <summary>Whether the file has the former key include_body, which never did anything.</summary>
    public bool NamesIncludeBody { get; init; }

    /// <summary>Reads the section; what is not written is as in <paramref name="fallback"/>.</summary>
    public static LoggingOptions Read(ConfigNode section, LoggingOptions? fallback = null)
    {
        fallback ??= new LoggingOptions();
        return new LoggingOptions
        {
            Level = ReadLevel(section["level"], fallback.Level),
            Format = ReadFormat(section["format"], fallback.Format),
            File = section["file"].AsPath(fallback.File),
            MaxSize = section["max_size"].AsSize(fallback.MaxSize, 0),
            Keep = section["keep"].AsInt(fallback.Keep, 0, 1000),
            Time = section["time"].AsBool(fallback.Time),
            NamesIncludeBody = !section["include_body"].IsAbsent,
        };
    }

    /// <summary>debug, info, warn or error: also what LOG_LEVEL takes.</summary>
    public static LogLevel ReadLevel(ConfigNode node, LogLevel fallback) => node.AsWord(
        fallback,
        ("debug", LogLevel.Debug), ("info", LogLevel.Information), ("warn", LogLevel.Warning), ("error", LogLevel.Error));

    /// <summary>The word for a level.</summary>
    public static string NameOf(LogLevel level) => level switch
    {
        LogLevel.Trace or LogLevel.Debug => "debug",
        LogLevel.Information => "info",
        LogLevel.Warning => "warn",
        _ => "error",
    };

    /// <summary>text or json: also what LOG_FORMAT takes.</summary>
    public static LogFormat ReadFormat(ConfigNode node, LogFormat fallback) =>
        node.AsWord(fallback, ("text", LogFormat.Text), ("json", LogFormat.Json));

    /// <summary>The section as JSON, secrets masked.</summary>
    public void Write(Utf8JsonWriter json)
    {
        json.WriteStartObject();
        json.WriteString("level", LoggingOptions.NameOf(Level));
        json.WriteString("format", Format == LogFormat.Json ? "json" : "text");
        if (File is { } file)
            json.WriteString("file", file);
        json.WriteString("max_size", Quantity.Format(MaxSize));
        json.WriteNumber("keep", Keep);
        json.WriteBoolean("time", Time);
        json.WriteEndObject();
    }
}
