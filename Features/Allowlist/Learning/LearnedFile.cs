using System.Diagnostics;
using System.Text.Json;
using Discobot.Infrastructure.Native;

namespace Discobot.Features.Allowlist.Learning;

/// <summary>Keeps what was learned over restarts: read before anything is served, written whole a second after it grew and at the end, so that a
/// crash costs a second. <see cref="LearnedTraffic"/>'s limits bound it.</summary>
internal sealed class LearnedFile(string path, LearnedTraffic learned, ILogger<LearnedFile> log) : BackgroundService
{
    private const long LargestFile = 64L << 20;

    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(1);

    private long _written;
    private bool _failed;

    public override Task StartAsync(CancellationToken cancellationToken)
    {
        Read();
        _written = learned.Changes;
        return base.StartAsync(cancellationToken);
    }

    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        await base.StopAsync(cancellationToken);
        Write();
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        await Task.Yield();
        while (!stoppingToken.IsCancellationRequested)
        {
            var started = Stopwatch.GetTimestamp();
            Write();
            // A disk that takes long gets longer pauses.
            var pause = Stopwatch.GetElapsedTime(started) * 20;
            await Task.Delay(pause > Pause ? pause : Pause, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private void Read()
    {
        try
        {
            if (!File.Exists(path))
                return;
            if (new FileInfo(path).Length > LargestFile)
                throw new IOException("it is larger than 64 MiB");
            if (JsonSerializer.Deserialize(RegularFile.ReadAllBytes(path), LearnedJson.Default.LearnedReport) is { Hosts: not null, Addresses: not null } report)
                learned.Restore(report);
        }
        catch (Exception e) when (e is JsonException || DiskFailure.Is(e))
        {
            log.LogWarning("what was learned before is not known file={File} reason={Reason}", path, e.Message);
        }
    }

    private void Write()
    {
        var changes = learned.Changes;
        if (changes == _written)
            return;
        try
        {
            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            AtomicFile.Write(
                path, JsonSerializer.SerializeToUtf8Bytes(learned.Report(), LearnedJson.Default.LearnedReport), UnixFileMode.UserRead | UnixFileMode.UserWrite);
            _written = changes;
            _failed = false;
        }
        catch (Exception e) when (DiskFailure.Is(e))
        {
            if (!_failed)
                log.LogWarning("what is learned will be forgotten at the end file={File} reason={Reason}", path, e.Message);
            _failed = true;
        }
    }
}
