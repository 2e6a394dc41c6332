namespace Discobot.Features.Headers;

/// <summary>What the rule for a host would do to a request. Names only: values are nobody's business.</summary>
/// <param name="Pattern">The rule's key.</param>
/// <param name="Set">Headers that replace what the client sent.</param>
/// <param name="Append">Headers that are added to.</param>
/// <param name="Conditions">Headers of the client's request that must have a certain value.</param>
/// <param name="LeftOut">Headers of the rule that are not sent, as their values cannot be had now; null: none.</param>
/// <param name="Withheld">Why nothing is sent whatever the conditions say; null: it is.</param>
internal sealed record HeaderExplanation(
    string Pattern, IReadOnlyList<string> Set, IReadOnlyList<string> Append, IReadOnlyList<string> Conditions,
    IReadOnlyList<LeftOutHeader>? LeftOut, string? Withheld);

/// <param name="Name">The header.</param>
/// <param name="Reason">Why its value cannot be had.</param>
internal sealed record LeftOutHeader(string Name, string Reason);
