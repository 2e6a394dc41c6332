using Discobot.Features.Egress.Nftables;
using Discobot.Tests.Fixtures;
using Microsoft.Extensions.Logging;

namespace Discobot.Features.Egress.Gateways;

public sealed class ConnectionsWatchTests
{
    [Fact]
    public async Task A_gateways_log_tells_that_its_clients_have_filled_the_table_of_connections()
    {
        var told = new TaskCompletionSource<string>();
        using var factory = LoggerFactory.Create(logging => logging.AddProvider(new Lines(told)));
        using var watch = new ConnectionsWatch(() => new ConnectionTable(100, 100), new HurriedTime(), factory.CreateLogger<ConnectionsWatch>());
        await watch.StartAsync(default);
        Assert.Contains("is full (100 of 100 connections)", await told.Task.WaitAsync(TimeSpan.FromSeconds(30)), StringComparison.Ordinal);
        await watch.StopAsync(default);
    }

    private sealed class Lines(TaskCompletionSource<string> first) : ILoggerProvider, ILogger
    {
        public ILogger CreateLogger(string categoryName) => this;

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) => first.TrySetResult(formatter(state, exception));

        public void Dispose()
        {
        }
    }
}
