using System.Buffers;
using System.Globalization;
using Serilog.Events;
using Serilog.Formatting;

namespace Discobot.Infrastructure.Logging;

/// <summary>One line an event: <c>INFO  request    method=GET host=… path=…</c>. Templates of the form "words {A} {B}" become words and
/// key=value pairs; other templates are sentences and rendered as such.</summary>
/// <param name="time">Whether lines begin with the time, <c>2026-01-31T12:00:00.000Z</c>.</param>
internal sealed class KeyValueFormatter(bool time = false) : ITextFormatter
{
    // What needs no quotes: visible characters of ASCII but the quote itself. Rarer ones are looked at one by one.
    private static readonly SearchValues<char> Plain = SearchValues.Create([.. Enumerable.Range('!', '~' - '!' + 1).Select(c => (char)c).Where(c => c != '"')]);

    public void Format(LogEvent logEvent, TextWriter output)
    {
        if (time)
            output.Write(logEvent.Timestamp.UtcDateTime.ToString("yyyy-MM-ddTHH:mm:ss.fffZ ", CultureInfo.InvariantCulture));
        output.Write(LevelColumn(logEvent.Level));
        var layout = EventLayout.Of(logEvent.MessageTemplate);
        if (layout.IsEvent)
            WriteEvent(logEvent, layout, output);
        else
            output.Write(OneLine(logEvent.RenderMessage(CultureInfo.InvariantCulture)));
        if (logEvent.Exception is { } exception)
            output.Write($" error={Quote($"{exception.GetType().Name}: {exception.Message}")}");
        output.Write('\n');
    }

    /// <summary>The bare text of a property: strings unquoted, everything else in invariant form.</summary>
    public static string Text(LogEventPropertyValue value) =>
        value is ScalarValue scalar ? Convert.ToString(scalar.Value, CultureInfo.InvariantCulture) ?? "" : value.ToString();

    private static string LevelColumn(LogEventLevel level) => level switch
    {
        LogEventLevel.Verbose or LogEventLevel.Debug => "DEBUG ",
        LogEventLevel.Information => "INFO  ",
        LogEventLevel.Warning => "WARN  ",
        _ => "ERROR ",
    };

    private static void WriteEvent(LogEvent logEvent, EventLayout layout, TextWriter output)
    {
        output.Write(layout.Column);
        foreach (var (property, before) in layout.Pairs)
        {
            if (!logEvent.Properties.TryGetValue(property, out var value))
                continue;
            output.Write(before);
            output.Write(Quote(Text(value)));
        }
    }

    // A value comes from the network: it must neither end the line nor forge another pair.
    private static string Quote(string text)
    {
        var odd = text.AsSpan().IndexOfAnyExcept(Plain);
        return text.Length > 0 && (odd < 0 || IsPlain(text.AsSpan(odd))) ? text : $"\"{Escape(text)}\"";
    }

    private static bool IsPlain(ReadOnlySpan<char> text)
    {
        foreach (var c in text)
        {
            if (c is <= ' ' or '"' || char.IsControl(c))
                return false;
        }

        return true;
    }

    private static string OneLine(string text) => text.Any(char.IsControl) ? Escape(text) : text;

    private static string Escape(string text) =>
        string.Concat(text.Select(c => c is '"' or '\\' ? $"\\{c}" : char.IsControl(c) ? $"\\u{(int)c:x4}" : c.ToString()));
}
