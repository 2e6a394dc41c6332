using System.Threading.Channels;
using Discobot.Infrastructure;
using Discobot.Infrastructure.Config;

namespace Discobot.Features.Configuration;

/// <summary>
/// Secrets that are kept elsewhere and have no value in this process: a header is left out for want of one, and nobody is let in by a name whose
/// password is missing. Found when the proxy starts and when its settings change, so that nobody has to find it out by being refused.
/// </summary>
internal sealed partial class MissingSecrets(Live<ProxySettings> settings, SecretFiles files, ILogger<MissingSecrets> log) : BackgroundService
{
    // Of what the API named, and of what the file named when the proxy was started: no line of today's file says it.
    private static readonly ConfigPlace InForce = new("in force");

    /// <summary>Those of now, with the place where they are named. Files that do not answer are waited for at most 5 s, all at the same time.</summary>
    /// <remarks>Without <c>proxy.upstream</c>: the proxy does not start without its value, and it may be a pipe, which is read once.</remarks>
    public async Task<IReadOnlyList<ConfigError>> FindAsync(CancellationToken cancellation)
    {
        var inForce = settings.Value;
        var used = inForce.Headers.Secrets().Concat(inForce.Socks.Secrets()).Concat(inForce.Clients.Secrets()).Concat(inForce.Credentials.Sources())
            .Where(found => found.Value.Source != SecretSource.Literal).DistinctBy(found => found.Value).ToList();
        var written = inForce.WrittenSecrets.Where(place => place.Key != "proxy.upstream" && used.Exists(found => found.Value == place.Secret)).ToList();
        var places = written.Concat(used.Where(found => !written.Exists(place => place.Secret == found.Value))
            .Select(found => new SecretPlace(found.Key, InForce, found.Value)));
        await Task.WhenAll(used.Select(found => files.RefreshAsync(found.Value, cancellation).AsTask()));
        var missing = new List<ConfigError>();
        foreach (var place in places)
        {
            var (secret, held) = (place.Secret, files.Get(place.Secret));
            if ((held.Problem ?? place.ValueProblem(held.Value)) is { } problem)
                missing.Add(new ConfigError(ConfigOverlay.Places.Contains(place.Place.Source) ? new ConfigPlace(place.Place.Source) : place.Place, place.Key, $"{problem}: {Remedy(secret)}"));
        }

        return missing;
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        var looks = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });
        looks.Writer.TryWrite(true);
        settings.Changed += _ => looks.Writer.TryWrite(true);
        var told = new HashSet<string>();
        await foreach (var _ in looks.Reader.ReadAllAsync(stoppingToken))
        {
            var missing = (await FindAsync(stoppingToken)).Select(error => error.ToString()).ToHashSet();
            foreach (var error in missing.Except(told))
                LogMissing(error);
            told = missing;
        }
    }

    // A process gets no other environment while it runs; a file is read again.
    private static string Remedy(SecretText secret) => secret.Source == SecretSource.Environment
        ? "set it for the proxy and restart it, or keep the value in a file (file:/path)" : "it is read again when it is there";

    [LoggerMessage(Level = LogLevel.Warning, Message = "configuration names a secret that has no value {Error}")]
    private partial void LogMissing(string error);
}
