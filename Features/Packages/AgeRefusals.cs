using Discobot.Infrastructure.Wire;

namespace Discobot.Features.Packages;

/// <summary>The answers of this stage's own, each with its line in the log.</summary>
internal sealed partial class AgeRefusals(ILogger<AgeRefusals> log)
{
    /// <summary>403: a version or file is kept back.</summary>
    public Task RefuseAsync(HttpContext context, AgeRules rules, string package, string version, DateTimeOffset? published)
    {
        var reason = rules.Reason(package, version, published);
        LogRefused(package, version, rules.Key, reason);
        return ProxyErrors.WriteAsync(context, new ProxyError(StatusCodes.Status403Forbidden, "too_young", reason, rules.Key));
    }

    /// <summary>502: what a registry says of its versions cannot be read, so that nobody knows which of them are old enough.</summary>
    public Task FailAsync(HttpContext context, AgeRules rules, string package, string problem)
    {
        LogFailed(package, rules.Key, problem);
        return ProxyErrors.WriteAsync(context, new ProxyError(
            StatusCodes.Status502BadGateway, "publish_times_unknown",
            $"{rules.Key} is set, and when the versions of {package} were published cannot be learned: {problem}; packages.min_age_exclude lets it pass."));
    }

    /// <summary>Versions were left out of an answer.</summary>
    public void Hidden(string package, IReadOnlyCollection<string> versions, AgeRules rules) => LogHidden(package, string.Join(' ', versions.Take(20)), rules.Key);

    [LoggerMessage(Level = LogLevel.Warning, Message = "package refused {Package} {Version} {Rule} {Reason}")]
    private partial void LogRefused(string package, string version, string rule, string reason);

    [LoggerMessage(Level = LogLevel.Warning, Message = "package times unknown {Package} {Rule} {Reason}")]
    private partial void LogFailed(string package, string rule, string reason);

    [LoggerMessage(Level = LogLevel.Information, Message = "package versions kept back {Package} {Versions} {Rule}")]
    private partial void LogHidden(string package, string versions, string rule);
}
