using System.Buffers;
using System.Globalization;
using Serilog.Events;
using Serilog.Formatting;
using Serilog.Parsing;

namespace Discobot.Infrastructure.Logging;

/// <summary>One line an event: <c>INFO  request    method=GET host=… path=…</c>. Templates of the form "words {A} {B}" become words and
/// key=value pairs; other templates are sentences and rendered as such.</summary>
internal sealed class KeyValueFormatter : ITextFormatter
{
    // Punctuation that only sentences have.
    private static readonly SearchValues<char> SentenceMarks = SearchValues.Create(":(,\"'=");

    public void Format(LogEvent logEvent, TextWriter output)
    {
        output.Write(LevelWord(logEvent.Level).PadRight(6));
        if (IsEvent(logEvent.MessageTemplate))
            WriteEvent(logEvent, output);
        else
            output.Write(OneLine(logEvent.RenderMessage(CultureInfo.InvariantCulture)));
        if (logEvent.Exception is { } exception)
            output.Write($" error={Quote($"{exception.GetType().Name}: {exception.Message}")}");
        output.Write('\n');
    }

    public static string LevelWord(LogEventLevel level) => level switch
    {
        LogEventLevel.Verbose or LogEventLevel.Debug => "DEBUG",
        LogEventLevel.Information => "INFO",
        LogEventLevel.Warning => "WARN",
        _ => "ERROR",
    };

    /// <summary>The words of an event template, without its properties.</summary>
    public static string EventName(MessageTemplate template) =>
        template.Tokens.FirstOrDefault() is TextToken text ? text.Text.Trim() : "";

    /// <summary>Whether the template is words followed by nothing but properties.</summary>
    public static bool IsEvent(MessageTemplate template)
    {
        var tokens = 0;
        foreach (var token in template.Tokens)
        {
            var text = (token as TextToken)?.Text;
            if (tokens++ == 0 ? text is null || text.AsSpan().ContainsAny(SentenceMarks) : !string.IsNullOrWhiteSpace(text ?? " "))
                return false;
        }

        return tokens > 1;
    }

    /// <summary>The bare text of a property: strings unquoted, everything else in invariant form.</summary>
    public static string Text(LogEventPropertyValue value) =>
        value is ScalarValue scalar ? Convert.ToString(scalar.Value, CultureInfo.InvariantCulture) ?? "" : value.ToString();

    private static void WriteEvent(LogEvent logEvent, TextWriter output)
    {
        output.Write(EventName(logEvent.MessageTemplate).PadRight(10));
        foreach (var token in logEvent.MessageTemplate.Tokens)
        {
            if (token is not PropertyToken property || !logEvent.Properties.TryGetValue(property.PropertyName, out var value))
                continue;
            output.Write(' ');
            output.Write(property.PropertyName.ToLowerInvariant());
            output.Write('=');
            output.Write(Quote(Text(value)));
        }
    }

    // A value comes from the network: it must neither end the line nor forge another pair.
    private static string Quote(string text)
    {
        var plain = text.Length > 0;
        foreach (var c in text)
            plain &= c > ' ' && c != '"' && !char.IsControl(c);
        return plain ? text : $"\"{Escape(text)}\"";
    }

    private static string OneLine(string text) => text.Any(char.IsControl) ? Escape(text) : text;

    private static string Escape(string text) =>
        string.Concat(text.Select(c => c is '"' or '\\' ? $"\\{c}" : char.IsControl(c) ? $"\\u{(int)c:x4}" : c.ToString()));
}
