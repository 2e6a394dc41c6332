using System.CommandLine;

namespace Discobot.Features.CommandLine.Commands;

/// <summary><c>discobot har</c>: the last requests as an HTTP archive.</summary>
internal static class HarCommand
{
    public static Command Create()
    {
        var api = new RunningApi();
        var output = new OutputFile();
        var har = new Command("har", "Write the last requests as an HTTP archive (HAR 1.2), which browsers' network panels open.");
        output.AddTo(har);
        api.AddTo(har);
        har.SetAction((parsed, cancellation) => RunningApi.RunAsync(parsed, async () =>
        {
            var archive = await api.AskAsync(parsed, HttpMethod.Get, "/api/har", RunningApi.AnyJson, cancellation);
            await output.WriteAsync(parsed, archive.GetRawText() + "\n", cancellation);
            return ExitCode.Fine;
        }));
        return har;
    }
}
