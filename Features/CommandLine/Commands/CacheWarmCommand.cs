using System.CommandLine;
using System.Globalization;
using System.Net.Http.Headers;
using System.Text.Json;
using Discobot.Features.Cache.Warming;

namespace Discobot.Features.CommandLine.Commands;

/// <summary><c>discobot cache warm</c>: brings images, and what lockfiles name, into the running proxy's cache.</summary>
internal static class CacheWarmCommand
{
    // Of a long lockfile so many are asked for at once: the request stays small, and what is done is done.
    private const int Batch = 200;

    public static Command Create(Option<bool> json)
    {
        var api = new RunningApi();
        var images = new Argument<string[]>("IMAGE") { Description = "Images as docker pull takes them.", Arity = ArgumentArity.ZeroOrMore };
        var files = new Option<string[]>("--file", "-f") { Description = $"What a project needs: {WarmFiles.Known}.", HelpName = "FILE" };
        var platform = new Option<string?>("--platform") { Description = "Of images and wheels, as in linux/arm64; this machine's without it.", HelpName = "OS/ARCH" };
        var command = new Command("warm", "Bring images, and what lockfiles name, into the cache. What is there already is not fetched again.") { images, files, platform, json };
        api.AddTo(command);
        command.Validators.Add(result =>
        {
            if (result.GetValue(images) is not { Length: > 0 } && result.GetValue(files) is not { Length: > 0 })
                result.AddError("name an image, or a file with --file");
            if (WarmPlatform.Parse(result.GetValue(platform)) is null)
                result.AddError("--platform must be as in linux/arm64");
        });
        command.SetAction((parsed, cancellation) => RunningApi.RunAsync(parsed, async () =>
        {
            WarmItem[] items = [.. (parsed.GetValue(images) ?? []).Select(WarmFiles.ImageItem), .. (parsed.GetValue(files) ?? []).SelectMany(WarmFiles.Read)];
            var report = new WarmReport(parsed.InvocationConfiguration.Output, items.Length, parsed.GetValue(json));
            foreach (var batch in items.Chunk(Batch))
            {
                var body = JsonSerializer.SerializeToUtf8Bytes(new WarmRequest(batch, parsed.GetValue(platform)), WarmJson.Default.WarmRequest);
                using var content = new ByteArrayContent(body) { Headers = { ContentType = new MediaTypeHeaderValue("application/json") } };
                await foreach (var step in api.StreamAsync(parsed, HttpMethod.Post, "/api/cache/warm", content, WarmJson.Default.WarmProgress, cancellation))
                    report.Tell(step);
            }

            report.Finish(parsed.InvocationConfiguration.Error);
            return report.Failed.Count == 0 ? ExitCode.Fine : ExitCode.Failed;
        }));
        return command;
    }
}

/// <summary>What is written while things come in: at a terminal a bar for each that is under way, and always a line for each that is done.</summary>
internal sealed class WarmReport(TextWriter output, int count, bool json)
{
    private const int BarWidth = 20;
    private const int MostBars = 8;
    private readonly bool _bars = !json && ReferenceEquals(output, Console.Out) && !Console.IsOutputRedirected;
    private readonly List<WarmProgress> _running = [];
    private int _drawn, _stored, _here;
    private long _bytes;

    public List<WarmProgress> Failed { get; } = [];

    public void Tell(WarmProgress step)
    {
        _running.RemoveAll(r => r.Item == step.Item);
        Erase();
        switch (step.State)
        {
            case "running": _running.Add(step); break;
            case "failed": Failed.Add(step); break;
            case "here": _here++; break;
            default:
                _stored++;
                _bytes += step.Bytes;
                break;
        }

        if (json && step.State != "running")
            output.WriteLine(JsonSerializer.Serialize(step, WarmJson.Default.WarmProgress));
        else if (!json && step.State != "running")
            output.WriteLine($"{step.State,-7} {(step.State == "failed" ? "" : CacheCommand.Size(step.Bytes)),11}  {step.Name}{(step.Reason is { } reason ? $": {reason}" : "")}");
        Draw();
    }

    public void Finish(TextWriter errors)
    {
        Erase();
        if (!json)
            output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{count} named: {_stored} stored ({CacheCommand.Size(_bytes)}), {_here} here already, {Failed.Count} failed"));
        foreach (var failed in Failed)
            errors.WriteLine($"failed: {failed.Name}: {failed.Reason}");
    }

    private void Draw()
    {
        if (!_bars)
            return;
        foreach (var step in _running.Take(MostBars))
        {
            var part = step.Total > 0 ? Math.Min(1, (double)step.Bytes / step.Total) : 0;
            var name = step.Name.Length > 40 ? step.Name[..39] + "…" : step.Name;
            output.WriteLine($"[{new string('#', (int)(part * BarWidth)).PadRight(BarWidth)}] {CacheCommand.Size(step.Bytes),11}  {name}");
            _drawn++;
        }
    }

    // ECMA-48: up so many lines, and away with what is below.
    private void Erase()
    {
        if (_drawn > 0)
            output.Write($"\x1b[{_drawn.ToString(CultureInfo.InvariantCulture)}A\x1b[J");
        _drawn = 0;
    }
}
