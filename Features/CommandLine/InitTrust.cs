using Discobot.Features.Certificates;
using Discobot.Features.Init;
using Discobot.Features.TrustStore;

namespace Discobot.Features.CommandLine;

/// <summary>What the start-up asks of the certificates and of the trust store; they speak in the start-up's own log.</summary>
internal static class InitTrust
{
    /// <summary>Loads the CA of a directory or makes one.</summary>
    public static Func<string, CancellationToken, Task> EnsureAuthority(InitLog log) => (directory, cancellation) => Task.Run(
        () => CertificateAuthority.LoadOrCreate(directory, TimeProvider.System, new Lines(log)).Dispose(), cancellation);

    /// <summary>Makes the container trust the CA of a file.</summary>
    public static Func<string, CancellationToken, Task<TrustOutcome>> InstallTrust(InitLog log) => async (path, cancellation) =>
    {
        using var authority = CertificateAuthority.ReadCertificate(path);
        var status = await new SystemTrustStore(new Lines(log)).InstallAsync(authority, cancellation);
        return new TrustOutcome(status.Bundle, status.Message, status.Trusted);
    };

    private sealed class Lines(InitLog log) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state) where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(
            LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            var text = formatter(state, exception);
            if (logLevel >= LogLevel.Warning)
                log.Warning(text);
            else if (logLevel == LogLevel.Information)
                log.Info(text);
            else
                log.Debug(text);
        }
    }
}
