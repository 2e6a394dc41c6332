using Discobot.Features.Allowlist;
using Discobot.Features.Cache;
using Discobot.Features.Configuration;
using Discobot.Features.Headers;
using Discobot.Features.Interception;
using Discobot.Features.Limits;
using Discobot.Features.Packages;
using Discobot.Infrastructure;
using Discobot.Infrastructure.Config;
using Discobot.Infrastructure.Hosts;
using Discobot.Infrastructure.Logging;
using Serilog.Core;

namespace Discobot.Features.CommandLine;

/// <summary>Makes the features follow the settings.</summary>
internal static class RuleUpdates
{
    /// <summary>Turns each change of the settings into the rules of the features that are there. The allowlist comes first.</summary>
    public static void FollowSettings(this IServiceProvider services)
    {
        var allowlist = services.GetService<Approvals>();
        var cache = services.GetService<Live<CacheRules>>();
        var packages = services.GetService<Live<AgeRules>>();
        var limits = services.GetService<Live<LimitRules>>();
        var headers = services.GetService<Live<HeaderRules>>();
        var passthrough = services.GetService<Live<PassthroughHosts>>();
        var level = services.GetService<LoggingLevelSwitch>();
        services.GetRequiredService<Live<ProxySettings>>().Changed += next =>
        {
            allowlist?.Follow(next.AllowlistInForce);
            headers?.Replace(new HeaderRules(next.Headers, services.GetRequiredService<SecretFiles>()));
            packages?.Replace(new AgeRules(next.Packages));
            limits?.Replace(new LimitRules(next.Limits));
            cache?.Replace(new CacheRules(next.Cache));
            passthrough?.Replace(new PassthroughHosts(new HostSet(next.Tls.Passthrough)));
            level?.MinimumLevel = LoggingSetup.ToSerilog(next.Logging.Level);
        };
    }
}
