namespace Discobot.Infrastructure;

/// <summary>Something that a feature counts anyway, for whoever reports it: read then, at no cost in between.</summary>
/// <param name="Name">By the conventions of OpenTelemetry, as <c>discobot.cache.hits</c>.</param>
/// <param name="Unit">A unit of UCUM: <c>By</c>, or <c>{what}</c> of what is counted.</param>
/// <param name="Description">A sentence.</param>
/// <param name="Grows">Whether it only grows, from the start of the process on; else it is how many there are now.</param>
/// <param name="Read">From any thread.</param>
internal sealed record ObservedCount(string Name, string Unit, string Description, bool Grows, Func<long> Read);
