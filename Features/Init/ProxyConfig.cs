using System.Text;
using Discobot.Infrastructure.Native;

namespace Discobot.Features.Init;

/// <summary>
/// Puts the proxy's configuration in place: the workspace's own when it has a good one, else the built-in one. The workspace is
/// somebody's repository, so its file is opened without following links, read up to a limit and judged before it counts.
/// </summary>
internal sealed class ProxyConfig(Container container)
{
    private const int LargestFile = 1 << 20;
    private const string Shown = "workspace/.discobot/proxy/config.yaml";

    public Task RunAsync(CancellationToken cancellationToken)
    {
        var (text, summary) = FromWorkspace() ?? BuiltIn();
        using var proxy = DirectoryHandle.OpenTrusted(container.Paths.Proxy);

        // May hold credentials: the proxy reads it, and only root changes it.
        proxy.WriteBytes("config.yaml", Encoding.UTF8.GetBytes(text), 0x1A0 /* 0640 */, new Owner(Libc.GetUser(), container.ProxyOwner.Group));
        container.Proxy = summary;
        return Task.CompletedTask;
    }

    private (string Text, ProxySummary Summary)? FromWorkspace()
    {
        try
        {
            using var home = DirectoryHandle.OpenTrusted(container.Paths.Home);
            using var directory = home.TryOpen("workspace/.discobot/proxy");
            if (directory?.ReadBytes("config.yaml", LargestFile) is not { } bytes)
                return null;
            var text = new UTF8Encoding(false, true).GetString(bytes);
            var verdict = container.Services.CheckConfig(text, true);
            if (verdict.Summary is { } summary && verdict.Errors.Count == 0)
            {
                container.Log.Info($"proxy config: {Shown}");
                return (text, summary);
            }

            Refuse(verdict.Errors);
        }
        catch (Exception error) when (error is IOException or ArgumentException)
        {
            Refuse([error.Message]);
        }

        return null;
    }

    private (string Text, ProxySummary Summary) BuiltIn()
    {
        var verdict = container.Services.CheckConfig(container.Services.DefaultConfig, false);
        foreach (var error in verdict.Errors)
            container.Log.Warning($"built-in proxy config: {error}");
        container.Log.Info("proxy config: built-in default");
        return (container.Services.DefaultConfig, verdict.Summary ?? new ProxySummary());
    }

    private void Refuse(IReadOnlyList<string> errors)
    {
        container.Log.Error($"{Shown} is NOT used, the built-in default is:");
        foreach (var error in errors)
            container.Log.Error($"  {error}");
    }
}
