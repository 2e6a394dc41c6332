using System.Globalization;
using System.Text;
using System.Text.Json;
using Serilog.Events;
using Serilog.Formatting;
using Serilog.Parsing;

namespace Discobot.Infrastructure.Logging;

/// <summary>One JSON object a line: time (RFC 3339, UTC), level, message, then the properties under their lower-case names.</summary>
internal sealed class JsonLineFormatter : ITextFormatter
{
    public void Format(LogEvent logEvent, TextWriter output)
    {
        using var buffer = new MemoryStream();
        using (var writer = new Utf8JsonWriter(buffer))
        {
            writer.WriteStartObject();
            writer.WriteString("time", logEvent.Timestamp.UtcDateTime);
            writer.WriteString("level", LevelWord(logEvent.Level));
            var layout = EventLayout.Of(logEvent.MessageTemplate);
            writer.WriteString("message", layout.IsEvent ? layout.Name : logEvent.RenderMessage(CultureInfo.InvariantCulture));
            foreach (var property in logEvent.MessageTemplate.Tokens.OfType<PropertyToken>())
            {
                if (logEvent.Properties.TryGetValue(property.PropertyName, out var value))
                    Write(writer, property.PropertyName.ToLowerInvariant(), value);
            }

            if (logEvent.Exception is { } exception)
                writer.WriteString("error", exception.ToString());
            writer.WriteEndObject();
        }

        output.Write(Encoding.UTF8.GetString(buffer.GetBuffer().AsSpan(0, (int)buffer.Length)));
        output.Write('\n');
    }

    private static string LevelWord(LogEventLevel level) => level switch
    {
        LogEventLevel.Verbose or LogEventLevel.Debug => "debug",
        LogEventLevel.Information => "info",
        LogEventLevel.Warning => "warn",
        _ => "error",
    };

    private static void Write(Utf8JsonWriter writer, string name, LogEventPropertyValue value)
    {
        switch ((value as ScalarValue)?.Value)
        {
            case int number:
                writer.WriteNumber(name, number);
                break;
            case long number:
                writer.WriteNumber(name, number);
                break;
            case bool flag:
                writer.WriteBoolean(name, flag);
                break;
            default:
                writer.WriteString(name, KeyValueFormatter.Text(value));
                break;
        }
    }
}
