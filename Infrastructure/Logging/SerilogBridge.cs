using System.Collections.Concurrent;
using System.Globalization;
using Serilog.Core;
using Serilog.Events;
using Serilog.Parsing;

namespace Discobot.Infrastructure.Logging;

/// <summary>
/// From <see cref="ILogger"/> to Serilog: template and values, and nothing else. The usual provider adds to each event its scopes, its category
/// and its number, which no line of ours shows, and looks for each value's type: with it the three lines of a small cached answer took a quarter of
/// the processor time of the whole answer (bench/run.sh, line "small").
/// </summary>
internal sealed class SerilogBridge(Logger serilog) : ILoggerProvider
{
    private readonly ConcurrentDictionary<string, MessageTemplate> _templates = new();

    /// <summary>Categories are told apart by the filters of the factory, before they come here.</summary>
    public ILogger CreateLogger(string categoryName) => new Category(serilog, _templates);

    public void Dispose() => serilog.Dispose();

    private sealed class Category(Logger serilog, ConcurrentDictionary<string, MessageTemplate> templates) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => logLevel != LogLevel.None && serilog.IsEnabled(LoggingSetup.ToSerilog(logLevel));

        public void Log<TState>(
            LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            if (IsEnabled(logLevel))
                serilog.Write(Event(logLevel, state as IReadOnlyList<KeyValuePair<string, object?>> ?? AsTemplate(formatter(state, exception)), exception));
        }

        private static KeyValuePair<string, object?>[] AsTemplate(string text) => [new("{OriginalFormat}", text)];

        private LogEvent Event(LogLevel level, IReadOnlyList<KeyValuePair<string, object?>> values, Exception? exception)
        {
            // The template comes last: so say LoggerMessage and the extension methods of ILogger.
            var last = values.Count - 1;
            var template = templates.GetOrAdd((string)values[last].Value!, static text => new MessageTemplateParser().Parse(text));
            var properties = new Dictionary<string, LogEventPropertyValue>(last);
            for (var i = 0; i < last; i++)
                properties[values[i].Key] = new ScalarValue(Scalar(values[i].Value));
            return LogEvent.UnstableAssembleFromParts(
                DateTimeOffset.UtcNow, LoggingSetup.ToSerilog(level), exception, template, properties, default, default);
        }

        private static object? Scalar(object? value) => value is null or string or int or long or bool
            ? value
            : Convert.ToString(value, CultureInfo.InvariantCulture);
    }
}
