using Discobot.Infrastructure.Wire;

namespace Discobot.Features.Packages.Crates;

/// <summary>
/// A registry of crates with a sparse index. Downloads lie on another host than the index, and do not say which index they belong to: those of crates.io
/// are known, others are what the last index said that named the crate.
/// </summary>
internal sealed class CrateRegistry(PublishTimes times, DocumentMemory memory, AgeRefusals refusals, IEgressPolicy policy, TimeProvider clock) : IRegistryProtocol
{
    private const string PublicIndex = "index.crates.io";

    private static readonly string[] PublicHosts = [PublicIndex, "static.crates.io", "crates.io"];

    public async Task<bool> TryAnswerAsync(HttpContext context, ProxiedRequest request, AgeRules rules, RequestDelegate next)
    {
        if (!CrateAddress.TryParse(request.Path, out var address) || rules.Excludes(address.Crate))
            return false;
        if (address.Version is not null)
            return await TryRefuseAsync(context, request, address, rules, next);
        if (request.Target.Host != PublicIndex && !context.Request.Headers.UserAgent.ToString().StartsWith("cargo", StringComparison.OrdinalIgnoreCase))
            return false;
        var answer = await new OriginQuestion(memory, context, request, "*/*").AskAsync(next);
        if (!answer.IsSuccess)
        {
            await AnswerFields.SendAsync(context, answer);
        }
        else if (await memory.UnpackAsync(context, answer) is not { } text)
        {
            await refusals.FailAsync(context, rules, address.Crate, $"its file in the index {answer.Problem ?? "cannot be unpacked"}");
        }
        else if (IndexFile.Read(text) is not { } file)
        {
            await AnswerFields.SendAsync(context, answer);
        }
        else
        {
            var (published, now) = (Remember(request.Target.Host, address, file), clock.GetUtcNow());
            var hidden = published.Where(p => !rules.Shows(p.Value, now)).Select(p => p.Key).ToArray();
            if (hidden.Length > 0)
                refusals.Hidden(address.Crate, hidden, rules);
            await (hidden.Length == 0 ? AnswerFields.SendAsync(context, answer) : AnswerFields.SendAsync(context, answer, file.Without(p => rules.Shows(p, now))));
        }

        return true;
    }

    private static string KeyOf(string host, string crate) => $"crates {(PublicHosts.Contains(host) ? PublicIndex : "other")} {crate}";

    private Dictionary<string, DateTimeOffset?> Remember(string host, CrateAddress address, IndexFile file)
    {
        var published = file.Times();
        times.Remember(KeyOf(host, address.Crate), published);
        return published;
    }

    private async Task<bool> TryRefuseAsync(HttpContext context, ProxiedRequest request, CrateAddress address, AgeRules rules, RequestDelegate next)
    {
        var version = address.Version!;
        if (!times.TryFind(KeyOf(request.Target.Host, address.Crate), version, out var published))
        {
            // A download of a registry whose index nobody has asked for here.
            if (!PublicHosts.Contains(request.Target.Host))
                return false;
            var index = new ProxiedRequest { Id = request.Id, Target = new ConnectTarget(PublicIndex, 443), Scheme = "https", PathAndQuery = address.IndexPath, Client = request.Client };
            var verdict = policy.JudgeRequest(index.Target, HttpMethods.Get, index.Path, index.Client);
            var answer = verdict.Allowed ? await new OriginQuestion(memory, context, index, "*/*").AskAsync(next) : null;
            if (answer is { Status: StatusCodes.Status200OK } && await memory.UnpackAsync(context, answer) is { } text && IndexFile.Read(text) is { } file)
            {
                published = Remember(PublicIndex, address, file).GetValueOrDefault(version);
            }
            else if (answer is not { Status: StatusCodes.Status404NotFound })
            {
                await refusals.FailAsync(context, rules, address.Crate, answer is null
                    ? $"{PublicIndex} may not be asked: {verdict.Reason.TrimEnd('.')}"
                    : $"its file in the index {answer.Problem ?? $"is answered with {answer.Status}"}");
                return true;
            }
        }

        if (rules.Shows(published, clock.GetUtcNow()))
            return false;
        await refusals.RefuseAsync(context, rules, address.Crate, version, published);
        return true;
    }
}
