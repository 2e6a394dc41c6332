using Discobot.Features.Configuration;
using Discobot.Features.Init;

namespace Discobot.Features.CommandLine;

/// <summary>The ports of the proxy that runs beside a command: those of the container's configuration, else of the environment's.</summary>
internal static class ContainerProxy
{
    public static ProxySummary Summary(ContainerPaths paths)
    {
        // Only root and the proxy may read the container's; others are told of the usual ports.
        var settings = (File.Exists(paths.ProxyConfig) ? SettingsSources.OfProcess(paths.ProxyConfig).Load().Value : null)
            ?? SettingsSources.OfProcess().Load().Value;
        return settings is null ? new() : new() { Port = settings.Proxy.Port, ApiPort = settings.Api.Port, Init = settings.Init };
    }
}
