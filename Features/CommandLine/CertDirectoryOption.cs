using System.CommandLine;
using System.Security.Cryptography.X509Certificates;
using Discobot.Features.Api;

namespace Discobot.Features.CommandLine;

/// <summary>Where commands that work on the CA look for it.</summary>
/// <param name="asksProxy">Whether the proxy that runs may say so unasked: only for commands that read, as any process may listen on its port.</param>
internal sealed class CertDirectoryOption(bool asksProxy)
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(2);

    private readonly RunningApi _api = new();

    private readonly Option<string?> _directory = new("--cert-dir")
    {
        Description = $"Directory of ca.crt and ca.key (tls.cert_dir). Without it: that of the proxy that runs here. {ChosenProxy.Variables}.",
        HelpName = "DIR",
    };

    public void AddTo(Command command)
    {
        command.Options.Add(_directory);
        _api.AddTo(command);
    }

    /// <exception cref="IOException">The configuration that names it has mistakes, the proxy that is named does not answer, or what is to be changed
    /// is not the proxy's that runs.</exception>
    public async Task<string> FindAsync(ParseResult parsed, CancellationToken cancellation)
    {
        if (parsed.GetValue(_directory) is { } named)
            return named;
        if (_api.HasAddress(parsed))
            return await AskAsync(parsed, cancellation) ?? throw new IOException($"the proxy at {_api.Address(parsed)} names no CA");
        var config = _api.Config(parsed);
        var isChosen = config is not null || Environment.GetEnvironmentVariable("CERT_DIR") is { Length: > 0 };
        var found = ChosenProxy.Find(config).State.CertDir;
        if (isChosen || await AskAsync(parsed, cancellation) is not { } running)
            return found;
        if (asksProxy || running == found)
            return running;
        // Its word alone moves nothing; but what would be made elsewhere is nobody's.
        throw new IOException($"the proxy that runs has its CA in {running}, and this user's would be in {found}: run it as root (sudo), or name the directory with --cert-dir");
    }

    /// <summary>What the proxy that runs signs with; null where a directory was named, or nobody answers.</summary>
    public async Task<X509Certificate2?> ServedAsync(ParseResult parsed, CancellationToken cancellation) =>
        parsed.GetValue(_directory) is not null ? null : await ServedAuthority.AskAsync(_api.Address(parsed), Limit, cancellation);

    private async Task<string?> AskAsync(ParseResult parsed, CancellationToken cancellation)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        limit.CancelAfter(Limit);
        try
        {
            var health = await _api.AskAsync(parsed, HttpMethod.Get, "/health", ApiJson.Default.Health, limit.Token);
            return Path.GetDirectoryName(health.CaCert);
        }
        catch (Exception e) when (!_api.HasAddress(parsed) && !cancellation.IsCancellationRequested
            && e is HttpRequestException or IOException or System.Text.Json.JsonException or OperationCanceledException)
        {
            return null;
        }
    }
}
