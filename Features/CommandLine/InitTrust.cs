using System.Security.Cryptography.X509Certificates;
using Discobot.Features.Certificates;
using Discobot.Features.Init;
using Discobot.Features.TrustStore;
using Discobot.Infrastructure.Native;

namespace Discobot.Features.CommandLine;

/// <summary>What the start-up asks of the certificates and of the trust store; they speak in the start-up's own log.</summary>
internal static class InitTrust
{
    /// <summary>Loads the CA of a directory or makes one.</summary>
    public static Func<string, CancellationToken, Task> EnsureAuthority(InitLog log) => (directory, cancellation) => Task.Run(
        () => CertificateAuthority.LoadOrCreate(directory, TimeProvider.System, new Lines(log)).Dispose(), cancellation);

    /// <summary>Makes the container trust the CA of a file: by the system's store, else by a bundle of our own.</summary>
    public static Func<string, CancellationToken, Task<TrustOutcome>> InstallTrust(
        InitLog log, ContainerPaths paths, IReadOnlyDictionary<string, string> environment) => (path, cancellation) => Task.Run(
            () =>
            {
                var authority = CertificateAuthority.ReadCertificate(path);
                var store = new SystemTrustStore(new Lines(log));
                var own = new ClientBundle(paths.Bundles);
                var status = store.InstallAtOnce(authority);
                // Root reads it; the agent and the proxy are others.
                var isForAll = status.Bundle is null || RegularFile.IsReadableByAll(status.Bundle);
                if (!isForAll)
                    status = status with { Trusted = false, Problem = $"only root may read {status.Bundle}" };
                List<X509Certificate2> added = [authority, .. own.OfUser(environment, log.Warning)];
                return Choose(status, own, added) with
                {
                    IsForAll = isForAll,
                    Afterwards = store.ToolHasToFollow ? stop => FollowAsync(store, authority, log, stop) : null,
                };
            },
            cancellation);

    private static TrustOutcome Choose(TrustStatus status, ClientBundle own, List<X509Certificate2> added)
    {
        if (added.Count == 1)
            own.Remove(ClientBundle.AdditionalName);
        if (status.Trusted && added.Count == 1)
        {
            own.Remove(ClientBundle.FileName);
            return new TrustOutcome(status.Bundle, status.Message, true);
        }

        var bundle = own.Write(status.Bundle, added);
        var additional = added.Count > 1 ? own.WriteAdditional(added) : null;
        var message = status.Message + (bundle is null
            ? "; and no bundle of our own can be written: clients are not led to the proxy"
            : $"; clients are pointed at {bundle}" + (added.Count > 1 ? $", which holds {added.Count - 1} of your own as well" : ""));
        return new TrustOutcome(bundle, message, status.Trusted) { Additional = additional };
    }

    private static async Task FollowAsync(SystemTrustStore store, X509Certificate2 authority, InitLog log, CancellationToken stop)
    {
        var status = await store.FollowAsync(authority, stop);
        if (status.Problem is null)
            log.Info("the distribution's tool has followed: " + status.Message);
        else
            log.Warning("the distribution's tool has not followed: " + status.Message);
    }

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
