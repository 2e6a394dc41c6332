using System.Text.Json;
using System.Text.Json.Serialization;
using Discobot.Features.Packages.Documents;
using Discobot.Infrastructure.Wire;

namespace Discobot.Features.Packages.Npm;

/// <summary>
/// The npm registry as npm, yarn, pnpm and bun speak to it: documents without the versions that are too young, tags moved back to what is left, and 403
/// for their tarballs. Times stand in the full document alone, which is asked for where a client wants the abbreviated one.
/// </summary>
internal sealed class NpmRegistry(PublishTimes times, NpmTarballs tarballs, DocumentMemory memory, AgeRefusals refusals, TimeProvider clock) : IRegistryProtocol
{
    private const string Full = "application/json";

    private static readonly string[] PublicHosts = ["registry.npmjs.org", "registry.yarnpkg.com", "registry.npmmirror.com"];
    private static readonly string[] Programs = ["npm/", "yarn/", "pnpm/", "bun/", "Bun/"];

    public async Task<bool> TryAnswerAsync(HttpContext context, ProxiedRequest request, AgeRules rules, RequestDelegate next)
    {
        if (NpmSearch.TryParse(request.Path, out var prefix))
            return IsClient(context.Request, request) && await SendFoundAsync(context, prefix, request, rules, next);
        if (NpmAddress.TryParseTags(request.Path, out var tagged))
            return !rules.Excludes(tagged.Package) && IsClient(context.Request, request) && await SendTagsAsync(context, tagged, request, rules, next);
        // Whatever its address looks like: an index has named it.
        if (tarballs.TryFind(request, out var named) && !rules.Excludes(named.Package) && !rules.Shows(named.Published, clock.GetUtcNow()))
        {
            await refusals.RefuseAsync(context, rules, named.Package, named.Version, named.Published);
            return true;
        }

        if (!(IsClient(context.Request, request) && NpmAddress.TryParseDownload(request.Path, out var address)) && !NpmAddress.TryParse(request.Path, out address))
            return false;
        if (rules.Excludes(address.Package))
            return false;
        if (address.Version is not null)
            return await TryRefuseTarballAsync(context, address, rules, next);
        // "/name/1.0.0" belongs to a package that may be named in the exceptions.
        if (!IsClient(context.Request, request) || (NpmAddress.TryParseVersion(request.Path, out var parent) && rules.Excludes(parent.Package)))
            return false;
        var accept = context.Request.Headers.Accept.ToString();
        var answer = await new OriginQuestion(memory, context, request, accept.Length > 0 ? accept : Full) { PassOthersTo = context }.AskAsync(next);
        if (answer == OriginAnswer.Passed)
            return true;
        if (!answer.IsSuccess)
            await AnswerFields.SendAsync(context, answer);
        else if (await memory.UnpackAsync(context, answer) is not { } text)
            await refusals.FailAsync(context, rules, address.Package, $"its document {answer.Problem ?? "cannot be unpacked"}");
        else if (!NpmDocument.TryRead(text, out var document))
            await SendOtherAsync(context, address, parent, rules, answer, text, next);
        else if (request.PathAndQuery.EndsWith("?write=true", StringComparison.Ordinal))
            // To be changed and sent back whole: what is left out of it would be deleted there.
            await AnswerFields.SendAsync(context, answer);
        else
            await SendDocumentAsync(context, address, rules, answer, document, next);
        return true;
    }

    private Task SendOtherAsync(
        HttpContext context, NpmAddress address, NpmAddress? parent, AgeRules rules, OriginAnswer answer, ReadOnlyMemory<byte> text, RequestDelegate next) =>
        parent is not null && IsOfVersion(text, parent.Package, out var version) ? SendVersionAsync(context, parent, version, rules, answer, next)
        : answer.IsMalformed(text) ? refusals.FailAsync(context, rules, address.Package, "its document is malformed")
        : AnswerFields.SendAsync(context, answer);

    private static bool IsClient(HttpRequest asked, ProxiedRequest request)
    {
        var agent = asked.Headers.UserAgent.ToString();
        return asked.Headers.Accept.ToString().Contains("vnd.npm.install-v1+json", StringComparison.OrdinalIgnoreCase)
            || Programs.Any(p => agent.StartsWith(p, StringComparison.Ordinal)) || PublicHosts.Contains(request.Target.Host);
    }

    private static string KeyOf(ProxiedRequest request, NpmAddress address) => $"npm {request.Scheme}://{request.Authority}{address.Prefix}/{address.Package}";

    private async Task SendDocumentAsync(HttpContext context, NpmAddress address, AgeRules rules, OriginAnswer answer, NpmDocument document, RequestDelegate next)
    {
        var now = clock.GetUtcNow();
        // The abbreviated form says when anything was last changed: mostly, all of it is old enough.
        if (!document.IsFull && rules.Shows(document.Modified, now))
        {
            await AnswerFields.SendAsync(context, answer);
            return;
        }

        var full = document;
        if (!document.IsFull)
        {
            (full, var problem) = await FullAsync(context, address, next);
            if (full is null)
            {
                await refusals.FailAsync(context, rules, address.Package, problem!);
                return;
            }
        }

        var published = Remember(context, address, full);
        bool Shows(string version) => rules.Shows(published.GetValueOrDefault(version), now);
        var hidden = document.Versions.Where(v => !Shows(v)).ToArray();
        if (hidden.Length == 0)
        {
            await AnswerFields.SendAsync(context, answer);
            return;
        }

        refusals.Hidden(address.Package, hidden, rules);
        // npm shows this field's text to its user, but not of an answer that it may keep. This one is another tomorrow.
        answer.Fields.CacheControl = "no-store";
        context.Response.Headers["npm-notice"] = Notice(address.Package, hidden, published, rules);
        await AnswerFields.SendAsync(context, answer, document.Without(Shows, published.Where(p => Shows(p.Key)).Max(p => p.Value)));
    }

    private static string Notice(string package, string[] hidden, Dictionary<string, DateTimeOffset?> published, AgeRules rules)
    {
        const int Named = 3;
        var newest = hidden.OrderByDescending(v => published.GetValueOrDefault(v)).Take(Named)
            .Select(v => $"{v} ({rules.Until(published.GetValueOrDefault(v))})");
        var more = hidden.Length > Named ? $" and {hidden.Length - Named} more" : "";
        return string.Concat($"{package}: kept back by {rules.Key}: {string.Join(", ", newest)}{more}".Select(c => c is >= ' ' and <= '~' ? c : '?'));
    }

    private Dictionary<string, DateTimeOffset?> Remember(HttpContext context, NpmAddress address, NpmDocument full)
    {
        var published = full.Times();
        times.Remember(KeyOf(ProxiedRequest.Of(context), address), published);
        tarballs.Remember(address.Package, full.Tarballs(), published);
        return published;
    }

    private async Task<(NpmDocument? Document, string? Problem)> FullAsync(HttpContext context, NpmAddress address, RequestDelegate next)
    {
        var request = ProxiedRequest.Of(context);
        var full = new ProxiedRequest { Id = request.Id, Target = request.Target, Scheme = request.Scheme, PathAndQuery = address.DocumentPath, Client = request.Client };
        var answer = await new OriginQuestion(memory, context, full, Full).AskAsync(next);
        if (answer.Status != StatusCodes.Status200OK)
            return (null, $"its document is answered with {answer.Status}");
        if (await memory.UnpackAsync(context, answer) is not { } text)
            return (null, $"its document {answer.Problem ?? "cannot be unpacked"}");
        return NpmDocument.TryRead(text, out var document) ? (document, null) : (null, "its document cannot be read");
    }

    private async Task<bool> TryRefuseTarballAsync(HttpContext context, NpmAddress address, AgeRules rules, RequestDelegate next)
    {
        var (version, now) = (address.Version!, clock.GetUtcNow());
        if (!times.TryFind(KeyOf(ProxiedRequest.Of(context), address), version, out var published))
        {
            var (full, problem) = await FullAsync(context, address, next);
            if (full is null)
            {
                await refusals.FailAsync(context, rules, address.Package, problem!);
                return true;
            }

            published = Remember(context, address, full).GetValueOrDefault(version);
        }

        if (rules.Shows(published, now))
            return false;
        await refusals.RefuseAsync(context, rules, address.Package, version, published);
        return true;
    }

    private async Task<bool> SendTagsAsync(HttpContext context, NpmAddress address, ProxiedRequest request, AgeRules rules, RequestDelegate next)
    {
        var answer = await new OriginQuestion(memory, context, request, Full) { PassOthersTo = context }.AskAsync(next);
        if (answer == OriginAnswer.Passed)
            return true;
        var (full, problem) = answer.IsSuccess ? await FullAsync(context, address, next) : (null, null);
        if (full is not null)
        {
            var (published, now) = (Remember(context, address, full), clock.GetUtcNow());
            var shown = full.Tags(version => rules.Shows(published.GetValueOrDefault(version), now));
            await AnswerFields.SendAsync(context, answer, JsonSerializer.SerializeToUtf8Bytes(shown, NpmJson.Default.DictionaryStringString));
        }
        else if (problem is not null)
        {
            await refusals.FailAsync(context, rules, address.Package, problem);
        }
        else
        {
            await AnswerFields.SendAsync(context, answer);
        }

        return true;
    }

    // Of each package that is found, search shows the newest version: in its place the one that "latest" is moved back to, and nothing where there is none.
    private async Task<bool> SendFoundAsync(HttpContext context, string prefix, ProxiedRequest request, AgeRules rules, RequestDelegate next)
    {
        var answer = await new OriginQuestion(memory, context, request, Full) { PassOthersTo = context }.AskAsync(next);
        if (answer == OriginAnswer.Passed)
            return true;
        if (!answer.IsSuccess)
            await AnswerFields.SendAsync(context, answer);
        else if (await memory.UnpackAsync(context, answer) is not { } text || NpmSearch.Read(text) is not { } found)
            await refusals.FailAsync(context, rules, "npm search", $"its list {answer.Problem ?? "cannot be read"}");
        else
            await SendFoundAsync(context, prefix, rules, answer, found, next);
        return true;
    }

    private async Task SendFoundAsync(HttpContext context, string prefix, AgeRules rules, OriginAnswer answer, NpmSearch found, RequestDelegate next)
    {
        var now = clock.GetUtcNow();
        var young = found.Packages.Where(p => !rules.Excludes(p.Name) && !rules.Shows(p.Published, now)).ToList();
        if (young.Count == 0)
        {
            await AnswerFields.SendAsync(context, answer);
            return;
        }

        var earlier = new Dictionary<string, (string Version, DateTimeOffset Published)>();
        foreach (var package in young.Take(NpmSearch.MostAsked))
        {
            var address = new NpmAddress(prefix, package.Name, null);
            if (!NpmAddress.TryParse(address.DocumentPath, out _) || (await FullAsync(context, address, next)).Document is not { } full)
                continue;
            var published = Remember(context, address, full);
            bool Shows(string version) => rules.Shows(published.GetValueOrDefault(version), now);
            if (full.Tags(Shows).GetValueOrDefault("latest") is { } latest && Shows(latest))
                earlier[package.Name] = (latest, published[latest]!.Value);
        }

        answer.Fields.CacheControl = "no-store";
        await AnswerFields.SendAsync(context, answer, found.With(young.Select(p => p.Name).ToHashSet(), earlier));
    }

    private static bool IsOfVersion(ReadOnlyMemory<byte> text, string package, out string version)
    {
        version = JsonMembers.TryRead(text, out var members) && members["dist"] is not null && members.Text("name") == package ? members.Text("version") ?? "" : "";
        return version.Length > 0;
    }

    // "/name/1.0.0" is refused as its tarball is; "/name/latest" is what the tag stands on now.
    private async Task SendVersionAsync(HttpContext context, NpmAddress address, string version, AgeRules rules, OriginAnswer answer, RequestDelegate next)
    {
        var (full, problem) = await FullAsync(context, address, next);
        if (full is null)
        {
            await refusals.FailAsync(context, rules, address.Package, problem!);
            return;
        }

        var (published, now) = (Remember(context, address, full), clock.GetUtcNow());
        bool Shows(string of) => rules.Shows(published.GetValueOrDefault(of), now);
        if (Shows(version))
            await AnswerFields.SendAsync(context, answer);
        else if (address.Version != version && full.Tags(Shows).GetValueOrDefault(address.Version!) is { } earlier && Shows(earlier) && full.Version(earlier) is { } told)
            await AnswerFields.SendAsync(context, answer, told.ToArray());
        else
            await refusals.RefuseAsync(context, rules, address.Package, version, published.GetValueOrDefault(version));
    }
}

[JsonSerializable(typeof(Dictionary<string, string>))]
internal sealed partial class NpmJson : JsonSerializerContext;
