using System.Globalization;
using System.Text.RegularExpressions;

namespace Discobot.Features.Init.Supervision;

/// <summary>The lines of the start and the stop: plain text for <c>docker logs</c>, each with the same prefix.</summary>
internal sealed partial class InitLog(Action<string> output, Action<string> errors, bool debug = false)
{
    public const string Prefix = "discobot-agent: ";
    private readonly Lock _lock = new();

    public void Info(string text) => Write(output, text);

    public void Warning(string text) => Write(output, $"warning: {text}");

    public void Error(string text) => Write(errors, $"error: {text}");

    /// <summary>Shown with <c>DISCOBOT_DEBUG=1</c> only.</summary>
    public void Debug(string text)
    {
        if (debug)
            Write(output, $"debug: {text}");
    }

    /// <summary>A step has ended; its share of the start-up time comes first.</summary>
    public void Ended(TimeSpan duration, string step, string how) => Info($"[{Seconds(duration)}] {step} {how}");

    public static string Seconds(TimeSpan duration) => duration.TotalSeconds.ToString("0.000", CultureInfo.InvariantCulture) + "s";

    // What a hook says must not look like a line of ours at a terminal: a carriage return goes back over the prefix, and ESC anywhere. Colours go.
    private static string Plain(string line) => line.AsSpan().ContainsAnyExceptInRange(' ', '~')
        ? new string([.. Colour().Replace(line.TrimEnd('\r'), "").Select(c => char.IsControl(c) && c != '\t' ? '?' : c)]) : line;

    [GeneratedRegex(@"\x1b\[[0-9;]*m", RegexOptions.CultureInvariant)]
    private static partial Regex Colour();

    private void Write(Action<string> write, string text)
    {
        lock (_lock)
        {
            foreach (var line in text.Split('\n'))
                write(Prefix + Plain(line));
        }
    }
}
