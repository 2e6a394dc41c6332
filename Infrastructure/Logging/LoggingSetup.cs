using Discobot.Infrastructure.Native;
using Serilog;
using Serilog.Core;
using Serilog.Events;

namespace Discobot.Infrastructure.Logging;

/// <summary>Sends <see cref="ILogger{T}"/> through Serilog to one <see cref="LineSink"/>.</summary>
internal static class LoggingSetup
{
    /// <summary>Registers logging as <paramref name="options"/> say. The level can be changed later through <see cref="LoggingLevelSwitch"/>.</summary>
    /// <exception cref="IOException">The log file cannot be opened for appending.</exception>
    public static IServiceCollection AddLineLogging(this IServiceCollection services, LoggingOptions options)
    {
        var level = new LoggingLevelSwitch(ToSerilog(options.Level));
        var file = options.File is null ? null : new LogFile(options.File, options.MaxSize, options.Keep);
        var sink = new LineSink(
            options.Format == LogFormat.Json ? new JsonLineFormatter() : new KeyValueFormatter(options.Time), file ?? StandardStream.Output());
        var logger = new LoggerConfiguration()
            .MinimumLevel.ControlledBy(level)
            .WriteTo.Sink(sink)
            .CreateLogger();
        if (options.NamesIncludeBody)
            logger.Warning("logging.include_body does nothing and can go: bodies are never logged");
        // An instance is not disposed by the container: the sink does it, when all is written.
        if (file is not null)
            services.AddSingleton(file);
        return services
            .AddSingleton(level)
            // Made by the container, so that it disposes it, and all lines are written.
            .AddSingleton<ILoggerProvider>(_ => new SerilogBridge(logger))
            .AddLogging(logging => logging
                .SetMinimumLevel(LogLevel.Trace)
                // The framework's own chatter says nothing to those who run a proxy; its warnings do.
                .AddFilter("Microsoft", LogLevel.Warning)
                // A start that fails is told once, on stderr, by the command.
                .AddFilter("Microsoft.Extensions.Hosting", LogLevel.None)
                // Whoever listens to this one gets an activity and a scope for each request.
                .AddFilter("Microsoft.AspNetCore.Hosting.Diagnostics", LogLevel.None));
    }

    public static LogEventLevel ToSerilog(LogLevel level) => level switch
    {
        LogLevel.Trace or LogLevel.Debug => LogEventLevel.Debug,
        LogLevel.Information => LogEventLevel.Information,
        LogLevel.Warning => LogEventLevel.Warning,
        _ => LogEventLevel.Error,
    };
}
