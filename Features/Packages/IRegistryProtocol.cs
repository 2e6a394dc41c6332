using Discobot.Infrastructure.Wire;

namespace Discobot.Features.Packages;

/// <summary>How the clients of one ecosystem learn which versions there are, and fetch them.</summary>
internal interface IRegistryProtocol
{
    /// <summary>Answers a GET or HEAD that is about versions; false, with nothing sent, when it is not, or may pass as it is.</summary>
    Task<bool> TryAnswerAsync(HttpContext context, ProxiedRequest request, AgeRules rules, RequestDelegate next);
}
