using System.CommandLine;
using Discobot.Features.Api;
using Discobot.Features.Api.Page;

namespace Discobot.Features.CommandLine.Commands;

/// <summary><c>discobot ui</c>: where the page is, with a code that logs it in.</summary>
internal static class UiCommand
{
    public static Command Create()
    {
        var api = new RunningApi();
        var json = new Option<bool>("--json") { Description = "Print JSON." };
        var ui = new Command("ui", "Print the address of the page that shows and decides, with a code that logs it in once, within a minute.") { json };
        api.AddTo(ui);
        ui.SetAction((parsed, cancellation) => RunningApi.RunAsync(parsed, async () =>
        {
            var code = await api.AskAsync(parsed, HttpMethod.Post, $"{LoginEndpoints.Path}/codes", ApiJson.Default.LoginCode, cancellation);
            var url = $"{api.Address(parsed).GetLeftPart(UriPartial.Authority)}/{(code.Code is null ? "" : $"#login={code.Code}")}";
            await parsed.InvocationConfiguration.Output.WriteLineAsync(!parsed.GetValue(json) ? url : JsonText.Of(text =>
            {
                text.WriteStartObject();
                text.WriteString("url", url);
                text.WriteEndObject();
            }));
            return ExitCode.Fine;
        }));
        return ui;
    }
}
