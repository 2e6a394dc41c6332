namespace Discobot.Features.Init;

/// <summary>What other features log while they work for the start-up, among its lines.</summary>
internal sealed class InitLogger(InitLog log) : ILogger
{
    public IDisposable? BeginScope<TState>(TState state) where TState : notnull => null;

    public bool IsEnabled(LogLevel logLevel) => logLevel != LogLevel.None;

    public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
    {
        var text = formatter(state, exception);
        if (logLevel >= LogLevel.Error)
            log.Error(text);
        else if (logLevel == LogLevel.Warning)
            log.Warning(text);
        else if (logLevel == LogLevel.Information)
            log.Info(text);
        else
            log.Debug(text);
    }
}
