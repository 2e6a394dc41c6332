using System.Diagnostics;

namespace Discobot.Infrastructure.Config;

/// <summary>Files that may keep whoever opens them waiting for ever: a pipe without a writer stands for a network file system that hangs.</summary>
public sealed class SecretFilesTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("secrets-").FullName;
    private readonly SecretFiles _files = new();

    private SecretText Pipe => new(SecretSource.File, Path.Combine(_directory, "pipe"));

    [Fact]
    public async Task A_file_that_does_not_answer_is_waited_for_in_vain_and_others_are_read_meanwhile()
    {
        MakePipe();
        var waiting = _files.RefreshAsync(Pipe, CancellationToken.None).AsTask();
        var other = new SecretText(SecretSource.File, Path.Combine(_directory, "other"));
        await File.WriteAllTextAsync(other.Text, "value\n");
        await _files.RefreshAsync(other, CancellationToken.None);

        Assert.Equal("value", _files.Get(other).Value);
        Assert.False(waiting.IsCompleted);
        await waiting;
        Assert.Contains("does not answer", _files.Get(Pipe).Problem, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_a_pipe_gives_once_is_kept_while_the_next_is_waited_for()
    {
        MakePipe();
        var reading = _files.RefreshAsync(Pipe, CancellationToken.None);
        await File.WriteAllTextAsync(Pipe.Text, "once\n");
        await reading;
        Assert.Equal("once", _files.Get(Pipe).Value);

        // By time: what was read is old enough by then to be read again.
        await Task.Delay(1100);
        var watch = Stopwatch.StartNew();
        await _files.RefreshAsync(Pipe, CancellationToken.None);
        Assert.Equal("once", _files.Get(Pipe).Value);
        Assert.InRange(watch.Elapsed, TimeSpan.Zero, TimeSpan.FromSeconds(3));
    }

    [Fact]
    public async Task A_file_that_comes_later_is_read_at_once()
    {
        var secret = new SecretText(SecretSource.File, Path.Combine(_directory, "late"));
        await _files.RefreshAsync(secret, CancellationToken.None);
        Assert.Contains("cannot be read", _files.Get(secret).Problem, StringComparison.Ordinal);
        await File.WriteAllTextAsync(secret.Text, "here");
        // A reading that the look before has begun may still be under way, and is shared.
        await Tests.Fixtures.Eventually.TrueAsync(async () =>
        {
            await _files.RefreshAsync(secret, CancellationToken.None);
            return _files.Get(secret).Value == "here";
        });
    }

    [Fact]
    public async Task A_file_that_is_empty_because_it_is_being_written_has_no_value_yet()
    {
        var secret = new SecretText(SecretSource.File, Path.Combine(_directory, "written"));
        await File.WriteAllTextAsync(secret.Text, "\n");
        await _files.RefreshAsync(secret, CancellationToken.None);
        Assert.Contains("is empty", _files.Get(secret).Problem, StringComparison.Ordinal);
    }

    public void Dispose()
    {
        // Lets the threads go that still wait in open(2).
        if (File.Exists(Pipe.Text))
        {
            using var end = new FileStream(Pipe.Text, FileMode.Open, FileAccess.ReadWrite);
        }

        Directory.Delete(_directory, recursive: true);
    }

    private void MakePipe()
    {
        using var made = Process.Start("mkfifo", Pipe.Text);
        made.WaitForExit();
        Assert.Equal(0, made.ExitCode);
    }
}
