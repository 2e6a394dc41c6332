using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Discobot.Features.Allowlist;
using Discobot.Features.Init;
using Discobot.Infrastructure;
using Discobot.Infrastructure.Config;

namespace Discobot.Features.CommandLine.Policies;

/// <summary><c>discobot approve</c>: shows what waits for an answer (<c>allowlist.mode: ask</c>), and answers it.</summary>
internal static class ApproveCommand
{
    private const string Keys = "[o]nce, for the [s]ession, [d]eny, [n]ext, [q]uit? ";

    public static Command Create()
    {
        var api = new RunningApi();
        var id = new Argument<string?>("ID") { Description = "The question, as in q3.", Arity = ArgumentArity.ZeroOrOne };
        var once = new Option<bool>("--once") { Description = "Allow what waits now, and until it is over whatever else goes to the host." };
        var session = new Option<bool>("--session") { Description = "Allow the host until the proxy ends." };
        var time = new Option<string?>("--for") { Description = "Allow the host for a time, as in 2h.", HelpName = "TIME" };
        var always = new Option<bool>("--always") { Description = "Allow the host for good: write the entry into the policy, and allow it for the session." };
        var policy = new Option<string?>("--policy") { Description = "With --always: the file to write to. Without it: the container's policy, else the configuration file of the proxy.", HelpName = "FILE" };
        var deny = new Option<bool>("--deny") { Description = "Refuse the host until the proxy ends." };
        var json = new Option<bool>("--json") { Description = "Print JSON." };
        time.Validators.Add(given =>
        {
            if (given.Tokens is [{ Value: var text }] && !(Quantity.TryParseDuration(text, out var read) && read >= TimeSpan.FromSeconds(1)))
                given.AddError($"--for must be a time of at least a second, as in 30m or 2h, not \"{text}\"");
        });
        var command = new Command("approve", "Answer what waits where allowlist.mode is ask. Without an ID: show the questions, and at a terminal ask for an answer to each.")
        {
            id, once, session, time, always, policy, deny, json,
        };
        command.Validators.Add(given =>
        {
            var answers = (bool[])[given.GetValue(once), given.GetValue(session), given.GetValue(time) is not null, given.GetValue(always), given.GetValue(deny)];
            if (answers.Count(a => a) != (given.GetValue(id) is null ? 0 : 1))
                given.AddError(given.GetValue(id) is null ? "name the question that is answered, as in q3" : "say one of --once, --session, --for TIME, --always and --deny");
            else if (given.GetValue(policy) is not null && !given.GetValue(always))
                given.AddError("--policy goes with --always");
        });
        api.AddTo(command);
        command.SetAction((parsed, cancellation) => RunningApi.RunAsync(parsed, async () =>
        {
            if (parsed.GetValue(id) is { } named)
            {
                var isWritten = parsed.GetValue(always);
                if (isWritten)
                    await WriteAsync(api, parsed, named, parsed.GetValue(policy), cancellation);
                var decision = parsed.GetValue(once) ? "once" : parsed.GetValue(session) || parsed.GetValue(always) ? "session" : parsed.GetValue(deny) ? "deny" : parsed.GetValue(time)!;
                if (await AnswerAsync(api, parsed, named, decision, isWritten, cancellation) is not { } grant)
                    return ExitCode.Fine;
                parsed.InvocationConfiguration.Output.WriteLine(parsed.GetValue(json) ? JsonSerializer.Serialize(grant, ApprovalJson.Readable.GrantReport) : GrantsCommand.Line(grant));
                return ExitCode.Fine;
            }

            await ShowAsync(api, parsed, parsed.GetValue(json), cancellation);
            return ExitCode.Fine;
        }));
        return command;
    }

    // Before anything is answered: where it cannot be written, nothing is.
    private static async Task WriteAsync(RunningApi api, ParseResult parsed, string id, string? policy, CancellationToken cancellation)
    {
        var questions = await api.AskAsync(parsed, HttpMethod.Get, "/api/approvals", ApprovalJson.Default.IReadOnlyListOpenQuestion, cancellation);
        var question = questions.FirstOrDefault(q => q.Id == id) ?? throw new IOException($"no question {id} is open");
        var file = policy ?? (api.IsContainers(parsed) ? new ContainerPaths().Policy : api.HasAddress(parsed) ? null : ChosenProxy.Find(api.Config(parsed)).Sources.File)
            ?? throw new IOException("that proxy has no configuration file that is known here: name the one to write to with --policy FILE");
        var isNew = PolicyFile.Add(Path.GetFullPath(file), Grant.EntryOf(question.Host, question.Port ?? 0, question.Client));
        parsed.InvocationConfiguration.Error.WriteLine(isNew ? $"written to {file}" : $"{file} has the entry already");
    }

    private static async Task ShowAsync(RunningApi api, ParseResult parsed, bool json, CancellationToken cancellation)
    {
        var output = parsed.InvocationConfiguration.Output;
        var questions = await api.AskAsync(parsed, HttpMethod.Get, "/api/approvals", ApprovalJson.Default.IReadOnlyListOpenQuestion, cancellation);
        if (json)
        {
            output.WriteLine(JsonSerializer.Serialize(questions, ApprovalJson.Readable.IReadOnlyListOpenQuestion));
            return;
        }

        if (questions.Count == 0)
            output.WriteLine("nothing waits for an answer");
        var asks = ReferenceEquals(output, Console.Out) && !Console.IsOutputRedirected && !Console.IsInputRedirected;
        foreach (var question in questions)
        {
            output.WriteLine(Line(question));
            if (asks && !await AskAsync(api, parsed, question, cancellation))
                return;
        }
    }

    // False: enough.
    private static async Task<bool> AskAsync(RunningApi api, ParseResult parsed, OpenQuestion question, CancellationToken cancellation)
    {
        var output = parsed.InvocationConfiguration.Output;
        while (true)
        {
            output.Write(Keys);
            var typed = (await Console.In.ReadLineAsync(cancellation))?.Trim().ToLowerInvariant();
            var decision = typed switch { "o" or "once" => "once", "s" or "session" => "session", "d" or "deny" => "deny", _ => null };
            if (typed is null or "q" or "quit")
                return false;
            if (typed is "n" or "next")
                return true;
            if (decision is null)
                continue;
            try
            {
                output.WriteLine(GrantsCommand.Line(await AnswerAsync(api, parsed, question.Id, decision, cancellation)));
            }
            catch (IOException e)
            {
                // It is over, or its client has gone: the next may still wait.
                output.WriteLine(e.Message);
            }

            return true;
        }
    }

    // A proxy that follows the file has it answered by that, and asks no more.
    private static async Task<GrantReport?> AnswerAsync(RunningApi api, ParseResult parsed, string id, string decision, bool isWritten, CancellationToken cancellation)
    {
        try
        {
            return await AnswerAsync(api, parsed, id, decision, cancellation);
        }
        catch (IOException) when (isWritten)
        {
            var questions = await api.AskAsync(parsed, HttpMethod.Get, "/api/approvals", ApprovalJson.Default.IReadOnlyListOpenQuestion, cancellation);
            if (questions.Any(q => q.Id == id))
                throw;
            return null;
        }
    }

    private static async Task<GrantReport> AnswerAsync(RunningApi api, ParseResult parsed, string id, string decision, CancellationToken cancellation)
    {
        using var content = new ByteArrayContent(JsonSerializer.SerializeToUtf8Bytes(new ApprovalRequest(decision, Person()), ApprovalJson.Default.ApprovalRequest));
        return await api.AskAsync(parsed, HttpMethod.Post, $"/api/approvals/{Uri.EscapeDataString(id)}", ApprovalJson.Default.GrantReport, cancellation, content);
    }

    // sudo(8) names who is behind root.
    private static string Person() => Environment.GetEnvironmentVariable("SUDO_USER") is { Length: > 0 } user ? user : Environment.UserName;

    private static string Line(OpenQuestion question) => VisibleText.Of(string.Create(CultureInfo.InvariantCulture,
        $"{question.Id,-5} {question.Host}{(question.Port is { } port ? $":{port}" : "")}  {question.Method}{(question.Path is { } path ? " " + path : "")}"
        + $"  {question.Waiting} waiting, asked {question.Requests}x since {question.Asked:HH:mm:ss}Z{(question.Program is { } program ? $" by {program}" : "")}{(question.Client is { } client ? $" for {client}" : "")}"));
}
