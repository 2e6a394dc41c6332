using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Serilog.Core;

namespace Discobot.Infrastructure.Logging;

public sealed class SerilogBridgeTests : IDisposable
{
    private readonly string _file = Path.GetTempFileName();

    public void Dispose() => File.Delete(_file);

    [Fact]
    public async Task Templates_values_and_exceptions_arrive_as_lines()
    {
        var lines = await LinesAsync(factory =>
        {
            var log = factory.CreateLogger("Discobot.Any");
            log.LogInformation("tunnel end {Target} {Up} {Done}", new Uri("http://h/"), 12L, true);
            log.LogWarning(new IOException("no room"), "the disk is full");
            log.Log(LogLevel.Error, default, 7, null, static (state, _) => $"state {state}");
        });

        Assert.Equal(
            ["INFO  tunnel end target=http://h/ up=12 done=True", "WARN  the disk is full error=\"IOException: no room\"", "ERROR state 7"],
            lines);
    }

    [Theory]
    [InlineData("Discobot.Any", LogLevel.Information, true)]
    [InlineData("Discobot.Any", LogLevel.Debug, false)]
    [InlineData("Microsoft.AspNetCore.Server.Kestrel", LogLevel.Information, false)]
    [InlineData("Microsoft.AspNetCore.Server.Kestrel", LogLevel.Warning, true)]
    [InlineData("Microsoft.AspNetCore.Hosting.Diagnostics", LogLevel.Critical, false)]
    [InlineData("Microsoft.Extensions.Hosting.Internal.Host", LogLevel.Critical, false)]
    public async Task Who_may_say_what(string category, LogLevel level, bool written)
    {
        var lines = await LinesAsync(factory => factory.CreateLogger(category).Log(level, "it {What}", "is"));
        Assert.Equal(written ? 1 : 0, lines.Length);
    }

    [Fact]
    public async Task The_level_can_be_changed_under_way()
    {
        var lines = await LinesAsync((factory, level) =>
        {
            var log = factory.CreateLogger("Discobot.Any");
            level.MinimumLevel = Serilog.Events.LogEventLevel.Error;
            log.LogInformation("lost");
            level.MinimumLevel = Serilog.Events.LogEventLevel.Debug;
            log.LogDebug("seen");
        });

        Assert.Equal(["DEBUG seen"], lines);
    }

    private Task<string[]> LinesAsync(Action<ILoggerFactory> write) => LinesAsync((factory, _) => write(factory));

    private async Task<string[]> LinesAsync(Action<ILoggerFactory, LoggingLevelSwitch> write)
    {
        await using (var services = new ServiceCollection().AddLineLogging(new LoggingOptions { File = _file }).BuildServiceProvider())
            write(services.GetRequiredService<ILoggerFactory>(), services.GetRequiredService<LoggingLevelSwitch>());
        return await File.ReadAllLinesAsync(_file);
    }
}
