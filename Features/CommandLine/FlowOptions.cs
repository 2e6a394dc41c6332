using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Discobot.Features.Audit;
using Discobot.Infrastructure.Config;
using Discobot.Infrastructure.Hosts;
using Discobot.Infrastructure.Native;

namespace Discobot.Features.CommandLine;

/// <summary>The options of the tools that show flows: which ones, and in which form.</summary>
internal sealed class FlowOptions
{
    private readonly Option<string?> _host = new("--host") { Description = $"Only this host: {HostPattern.Allowed}.", HelpName = "PATTERN" };
    private readonly Option<string?> _client = new("--client") { Description = $"Only of this client of the configuration; {ProxyUsers.Unnamed}: of those without a name.", HelpName = "NAME" };
    private readonly Option<string?> _status = new("--status") { Description = "Only answers with this status, as 404 or 4xx.", HelpName = "STATUS" };
    private readonly Option<bool> _blocked = new("--blocked") { Description = "Only what was blocked or refused." };
    private readonly Option<string?> _since = new("--since") { Description = "Only what began since then: 1h, 30m, or a time as 2026-01-31T12:00:00Z.", HelpName = "WHEN" };
    private readonly Option<bool> _json = new("--json") { Description = "Write JSON, one object a line." };

    public FlowOptions()
    {
        Check(_host, text => HostPattern.TryParse(text, out _), $"must be {HostPattern.Allowed}");
        Check(_status, FlowFilter.IsStatus, "must be a status as 404, or 4xx");
        Check(_since, text => Time(text) is not null, "must be a time that has passed, as 1h or 30m, or one as 2026-01-31T12:00:00Z");
    }

    /// <param name="withTime">Whether what is shown may be old.</param>
    public void AddTo(Command command, bool withTime = true)
    {
        command.Options.Add(_host);
        command.Options.Add(_client);
        command.Options.Add(_status);
        command.Options.Add(_blocked);
        if (withTime)
            command.Options.Add(_since);
        command.Options.Add(_json);
    }

    public bool IsJson(ParseResult parsed) => parsed.GetValue(_json);

    public FlowFilter Filter(ParseResult parsed) => new()
    {
        Host = parsed.GetValue(_host) is { } host && HostPattern.TryParse(host, out var pattern) ? pattern : null,
        Client = parsed.GetValue(_client),
        Status = parsed.GetValue(_status),
        OnlyBlocked = parsed.GetValue(_blocked),
        Since = parsed.CommandResult.Command.Options.Contains(_since) && parsed.GetValue(_since) is { } since ? Time(since) : null,
    };

    /// <summary>Colours are for a terminal whose user has not said otherwise (no-color.org).</summary>
    private static FlowText Text() =>
        new(Libc.IsTerminal(1) == 1 && string.IsNullOrEmpty(Environment.GetEnvironmentVariable("NO_COLOR")) && Environment.GetEnvironmentVariable("TERM") != "dumb");

    /// <summary>Writes what is wanted of what it is given, in the form that is wanted.</summary>
    public Action<JsonElement> Showing(ParseResult parsed)
    {
        var (filter, isJson, text, output) = (Filter(parsed), IsJson(parsed), Text(), parsed.InvocationConfiguration.Output);
        return flow =>
        {
            if (filter.Matches(flow) && (isJson ? flow.GetRawText() : text.Of(flow)) is { } line)
                output.WriteLine(line);
        };
    }

    private static DateTimeOffset? Time(string text) =>
        Quantity.TryParseDuration(text, out var ago) ? DateTimeOffset.UtcNow - ago
        : DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var time) ? time : null;

    private static void Check(Option<string?> option, Func<string, bool> isRight, string rule) => option.Validators.Add(result =>
    {
        if (result.Tokens is [var token] && !isRight(token.Value))
            result.AddError($"{option.Name} {rule}, not \"{token.Value}\"");
    });
}
