using Discobot.Infrastructure.Wire;
using Microsoft.Net.Http.Headers;

namespace Discobot.Features.Packages.Python;

/// <summary>
/// A Python index as pip, uv, poetry and others read it. Times stand in its JSON alone (PEP 700), so that is what is asked for whatever a client wants;
/// a page of links is written from it. Each file has its own time: one that was added to an old version is young.
/// </summary>
internal sealed class PythonRegistry(PublishTimes times, DocumentMemory memory, AgeRefusals refusals, IEgressPolicy policy, TimeProvider clock) : IRegistryProtocol
{
    private const string Json = "application/vnd.pypi.simple.v1+json";
    private const string Accept = Json + ", application/vnd.pypi.simple.v1+html; q=0.1, text/html; q=0.01";

    private const string PublicFiles = "files.pythonhosted.org";

    private const string PublicIndex = "pypi.org";

    private static readonly string[] Programs = ["pip/", "uv/", "poetry/", "pdm/", "pipenv/", "setuptools/", "hatch/", "rye/", "pex/"];

    public async Task<bool> TryAnswerAsync(HttpContext context, ProxiedRequest request, AgeRules rules, RequestDelegate next)
    {
        if (!PythonAddress.TryParse(request.Path, out var address) || rules.Excludes(address.Project))
            return false;
        return address.Kind switch
        {
            PythonKind.Index => await SendIndexAsync(context, request, address, rules, next),
            PythonKind.Description => await SendDescriptionAsync(context, request, address, rules, next),
            _ => await TryRefuseFileAsync(context, request, address, rules, next),
        };
    }

    private static bool IsClient(HttpRequest asked)
    {
        var agent = asked.Headers.UserAgent.ToString();
        return asked.Headers.Accept.ToString().Contains("vnd.pypi.simple", StringComparison.OrdinalIgnoreCase) || Programs.Any(p => agent.StartsWith(p, StringComparison.OrdinalIgnoreCase));
    }

    private static bool WantsJson(HttpRequest asked)
    {
        if (asked.Query.TryGetValue("format", out var format))
            return format.ToString().Contains("json", StringComparison.OrdinalIgnoreCase);
        if (!MediaTypeHeaderValue.TryParseList(asked.Headers.Accept, out var accepted))
            return false;
        double Weight(Func<string, bool> isForm) => accepted.Where(a => isForm(a.MediaType.ToString())).Select(a => a.Quality ?? 1).DefaultIfEmpty(0).Max();
        var json = Weight(t => t.StartsWith("application/vnd.pypi.simple.", StringComparison.OrdinalIgnoreCase) && t.EndsWith("+json", StringComparison.OrdinalIgnoreCase));
        return json > 0 && json >= Weight(t => t.Contains("html", StringComparison.OrdinalIgnoreCase));
    }

    private async Task<bool> SendIndexAsync(HttpContext context, ProxiedRequest request, PythonAddress address, AgeRules rules, RequestDelegate next)
    {
        // Anything may lie below "/simple/": what is no index passes, unless the client takes it for one.
        var answer = await new OriginQuestion(memory, context, request, Accept) { PassOthersTo = IsClient(context.Request) ? null : context }.AskAsync(next);
        if (answer == OriginAnswer.Passed)
            return true;
        if (!answer.IsSuccess)
        {
            await AnswerFields.SendAsync(context, answer);
            return true;
        }

        if (await memory.UnpackAsync(context, answer) is not { } text)
        {
            await refusals.FailAsync(context, rules, address.Project, $"its index {answer.Problem ?? "cannot be unpacked"}");
        }
        else if (!SimpleIndex.TryRead(text, out var index))
        {
            if (IsClient(context.Request))
                await refusals.FailAsync(context, rules, address.Project, "its index has no JSON form, which alone tells them (PEP 700)");
            else
                await AnswerFields.SendAsync(context, answer);
        }
        else if (index.Files.Count > 0 && index.Files.All(f => f.Published is null))
        {
            // An index with nothing in it would say that there is no such project.
            await refusals.FailAsync(context, rules, address.Project, "its index does not tell them (upload-time, PEP 700)");
        }
        else
        {
            Remember(request.Uri, index.Files);
            var now = clock.GetUtcNow();
            var hidden = index.Files.Where(f => !rules.Shows(f.Published, now)).Select(f => f.Name).ToArray();
            if (hidden.Length > 0)
                refusals.Hidden(address.Project, hidden, rules);
            if (!WantsJson(context.Request))
                await AnswerFields.SendAsync(context, answer, index.ToHtml(f => rules.Shows(f.Published, now)), "text/html; charset=utf-8");
            else if (hidden.Length == 0)
                await AnswerFields.SendAsync(context, answer);
            else
                await AnswerFields.SendAsync(context, answer, index.ToJson(f => rules.Shows(f.Published, now)));
        }

        return true;
    }

    private async Task<bool> SendDescriptionAsync(HttpContext context, ProxiedRequest request, PythonAddress address, AgeRules rules, RequestDelegate next)
    {
        var answer = await new OriginQuestion(memory, context, request, "application/json") { PassOthersTo = context }.AskAsync(next);
        if (answer == OriginAnswer.Passed)
            return true;
        var now = clock.GetUtcNow();
        bool Shows(PythonFile file) => rules.Shows(file.Published, now);
        if (!answer.IsSuccess)
        {
            await AnswerFields.SendAsync(context, answer);
        }
        else if (await memory.UnpackAsync(context, answer) is not { } text)
        {
            await refusals.FailAsync(context, rules, address.Project, $"its description {answer.Problem ?? "cannot be unpacked"}");
        }
        else if (!ProjectDescription.TryRead(text, out var told))
        {
            await (answer.IsMalformed(text) ? refusals.FailAsync(context, rules, address.Project, "its description is malformed") : AnswerFields.SendAsync(context, answer));
        }
        else if (told.Files.All(Shows))
        {
            await AnswerFields.SendAsync(context, answer);
        }
        else if (told.Shown(Shows))
        {
            await AnswerFields.SendAsync(context, answer, told.Without(Shows, null));
        }
        else if (address.Name.Length == 0 && told.Newest(Shows) is { } earlier && await DescribeAsync(context, request, address, earlier, next) is { } of && of.Shown(Shows))
        {
            // What is told of the project is told of its newest version: of the newest that is shown.
            await AnswerFields.SendAsync(context, answer, told.Without(Shows, of));
        }
        else
        {
            await refusals.RefuseAsync(context, rules, address.Project, told.Version, told.Files.Where(f => !Shows(f)).Max(f => f.Published));
        }

        return true;
    }

    private async Task<ProjectDescription?> DescribeAsync(HttpContext context, ProxiedRequest request, PythonAddress address, string version, RequestDelegate next)
    {
        var of = new ProxiedRequest
        {
            Id = request.Id,
            Target = request.Target,
            Scheme = request.Scheme,
            PathAndQuery = $"{address.Prefix}/pypi/{address.Project}/{Uri.EscapeDataString(version)}/json",
        };
        var answer = await new OriginQuestion(memory, context, of, "application/json").AskAsync(next);
        return answer.Status == StatusCodes.Status200OK && await memory.UnpackAsync(context, answer) is { } text && ProjectDescription.TryRead(text, out var told) ? told : null;
    }

    private async Task<bool> TryRefuseFileAsync(HttpContext context, ProxiedRequest request, PythonAddress address, AgeRules rules, RequestDelegate next)
    {
        if (!times.TryFind(KeyOf(request.Uri, address.Project), address.Name, out var published))
        {
            var isPublic = request.Target.Host == PublicFiles;
            var index = isPublic
                ? new ProxiedRequest { Id = request.Id, Target = new ConnectTarget(PublicIndex, 443), Scheme = "https", PathAndQuery = $"/simple/{address.Project}/", Client = request.Client }
                : new ProxiedRequest { Id = request.Id, Target = request.Target, Scheme = request.Scheme, PathAndQuery = address.IndexPath, Client = request.Client };
            var verdict = policy.JudgeRequest(index.Target, HttpMethods.Get, index.Path, index.Client);
            var answer = verdict.Allowed ? await new OriginQuestion(memory, context, index, Accept).AskAsync(next) : null;
            if (answer is { Status: StatusCodes.Status200OK } && await memory.UnpackAsync(context, answer) is { } text && SimpleIndex.TryRead(text, out var read))
            {
                Remember(index.Uri, read.Files);
                _ = times.TryFind(KeyOf(request.Uri, address.Project), address.Name, out published);
            }
            else if (!isPublic && answer is { Status: 401 or 403 or 404 or 410 } && times.TryFind(HearsayOf(request.Uri, address.Project), address.Name, out published))
            {
                // A host without an index of its own has nobody else who could tell.
            }
            else if (!isPublic && !IsClient(context.Request))
            {
                // Other things than packages lie below "/packages/".
                return false;
            }
            else if (answer is not { Status: StatusCodes.Status404NotFound })
            {
                await refusals.FailAsync(context, rules, address.Project, answer is null
                    ? $"{index.Target.Host} may not be asked: {verdict.Reason.TrimEnd('.')}"
                    : $"its index at {index.Target.Host} {answer.Problem ?? $"is answered with {answer.Status}, or is no JSON"}");
                return true;
            }
        }

        if (rules.Shows(published, clock.GetUtcNow()))
        {
            context.Response.OnStarting(() => Follow(context, request, address, published));
            return false;
        }

        await refusals.RefuseAsync(context, rules, address.Project, address.Name, published);
        return true;
    }

    // An index may have its files elsewhere and send its clients there: what it said of a file is known there, too.
    private Task Follow(HttpContext context, ProxiedRequest request, PythonAddress address, DateTimeOffset? published)
    {
        if (context.Response.StatusCode is 301 or 302 or 303 or 307 or 308 && Uri.TryCreate(request.Uri, context.Response.Headers.Location.ToString(), out var target)
            && PythonAddress.TryParse(target.AbsolutePath, out var there) && (there.Kind, there.Project, there.Name) == (address.Kind, address.Project, address.Name))
            times.Remember(Speaks(request.Uri, target) ? KeyOf(target, there.Project) : HearsayOf(target, there.Project), new Dictionary<string, DateTimeOffset?> { [there.Name] = published });
        return Task.CompletedTask;
    }

    private static string KeyOf(Uri file, string project) => $"pypi {file.GetLeftPart(UriPartial.Authority)} {project}";

    // What indexes of other hosts say of a host's files: anybody may have one, so it counts for nothing where that host has an index of its own.
    private static string HearsayOf(Uri file, string project) => $"hearsay {KeyOf(file, project)}";

    // Whether an index is the one of the files there: their own host's, or the one that is known for it.
    private static bool Speaks(Uri index, Uri file) => index.GetLeftPart(UriPartial.Authority) == file.GetLeftPart(UriPartial.Authority)
        || (index is { Scheme: "https", Authority: PublicIndex } && file is { Scheme: "https", Authority: PublicFiles });

    private void Remember(Uri index, IEnumerable<PythonFile> files)
    {
        var placed = files.Select(f => (File: f, Where: Uri.TryCreate(index, f.Url, out var where) ? where : index));
        foreach (var group in placed.GroupBy(p => Speaks(index, p.Where) ? KeyOf(p.Where, p.File.Project) : HearsayOf(p.Where, p.File.Project)))
            times.Remember(group.Key, group.GroupBy(p => p.File.Name).ToDictionary(g => g.Key, g => g.Last().File.Published));
    }
}
