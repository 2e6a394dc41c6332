namespace Discobot.Features.TrustStore;

/// <summary>What the machine's trust store says about our CA.</summary>
/// <param name="Family">The family of distributions, or <c>no tool</c>.</param>
/// <param name="Trusted">Whether the CA was found in the bundle when it was read back.</param>
/// <param name="Bundle">The file that holds all trusted CAs; null when there is none.</param>
/// <param name="Anchor">Our file for the distribution's tool, if the family has a tool.</param>
/// <param name="Changed">Whether this call changed anything.</param>
/// <param name="Problem">Why it is not as asked for; null when it is.</param>
internal sealed record TrustStatus(string Family, bool Trusted, string? Bundle, string? Anchor, bool Changed, string? Problem)
{
    /// <summary>One line for people.</summary>
    public string Message => (Trusted, Problem) switch
    {
        (true, null) => $"the CA is trusted ({Family}): it is in {Bundle}",
        (true, _) => $"the CA is trusted ({Family}): it is in {Bundle}; but {Problem}",
        (false, null) => Bundle is null
            ? $"the CA is not trusted ({Family}): there is no bundle of certificates"
            : $"the CA is not trusted ({Family}): it is not in {Bundle}",
        (false, _) => $"the CA is not trusted ({Family}): {Problem}",
    };
}
