using System.CommandLine;
using Discobot.Features.Api;

namespace Discobot.Features.CommandLine;

/// <summary>Where commands that work on the CA look for it.</summary>
/// <param name="asksProxy">Whether the proxy that runs may say so: only for commands that read, as any process may listen on its port.</param>
internal sealed class CertDirectoryOption(bool asksProxy)
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(2);

    private readonly RunningApi _api = new();

    private readonly Option<string?> _directory = new("--cert-dir")
    {
        Description = $"Directory of ca.crt and ca.key (tls.cert_dir). Without it: that of the proxy that runs here. {ChosenProxy.Variables}.",
        HelpName = "DIR",
    };

    private readonly Option<string?> _config = new("--config", "-config", "-c")
    {
        Description = "The configuration file of the proxy that is meant, where several run.",
        HelpName = "FILE",
    };

    public void AddTo(Command command)
    {
        command.Options.Add(_directory);
        if (asksProxy)
            _api.AddTo(command);
        else
            command.Options.Add(_config);
    }

    /// <exception cref="IOException">The configuration that names it has mistakes, or the proxy that is named does not answer.</exception>
    public async Task<string> FindAsync(ParseResult parsed, CancellationToken cancellation)
    {
        if (parsed.GetValue(_directory) is { } named)
            return named;
        if (!asksProxy)
            return ChosenProxy.Find(parsed.GetValue(_config)).State.CertDir;
        var config = _api.Config(parsed);
        if (config is not null || Environment.GetEnvironmentVariable("CERT_DIR") is { Length: > 0 })
            return ChosenProxy.Find(config).State.CertDir;
        return await AskAsync(parsed, cancellation) ?? ChosenProxy.Find().State.CertDir;
    }

    private async Task<string?> AskAsync(ParseResult parsed, CancellationToken cancellation)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        limit.CancelAfter(Limit);
        try
        {
            var health = await _api.AskAsync(parsed, HttpMethod.Get, "/health", ApiJson.Default.Health, limit.Token);
            return Path.GetDirectoryName(health.CaCert);
        }
        catch (Exception e) when (!_api.IsNamed(parsed) && !cancellation.IsCancellationRequested
            && e is HttpRequestException or IOException or System.Text.Json.JsonException or OperationCanceledException)
        {
            return null;
        }
    }
}
