using System.CommandLine;

namespace Discobot.Features.CommandLine;

/// <summary>
/// <c>--config FILE</c> or <c>-c FILE</c>. The single dash of <c>-config</c>, which entry points of images are written with, is understood as
/// well, as an option of its own: of two names that differ by their dashes alone the library's help shows the shorter.
/// </summary>
/// <param name="description">What the file is for.</param>
internal sealed class ConfigFileOption(string description)
{
    private readonly Option<string?> _file = new("--config", "-c") { Description = description, HelpName = "FILE" };
    private readonly Option<string?> _singleDash = new("-config") { Description = description, HelpName = "FILE", Hidden = true };

    public void AddTo(Command command)
    {
        command.Options.Add(_file);
        command.Options.Add(_singleDash);
        command.Validators.Add(result =>
        {
            if (result.GetResult(_file) is not null && result.GetResult(_singleDash) is not null)
                result.AddError("Option '--config' expects a single argument but 2 were provided.");
        });
    }

    /// <summary>The file that was named; null: none was.</summary>
    public string? Of(ParseResult parsed) => parsed.GetValue(_file) ?? parsed.GetValue(_singleDash);
}
