using System.Text;
using Serilog;

namespace Discobot.Infrastructure.Logging;

public sealed class LogFileTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("discobot-test-").FullName;

    private string Log => Path.Combine(_directory, "log");

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Fact]
    public void A_file_that_is_cut_by_a_tool_goes_on_from_its_beginning()
    {
        using var file = new LogFile(Log, 0, 0);
        Write(file, "first\n");
        using (var tool = new FileStream(Log, FileMode.Open, FileAccess.Write, FileShare.ReadWrite))
            tool.SetLength(0);
        Write(file, "second\n");

        Assert.Equal("second\n", File.ReadAllText(Log));
    }

    [Theory]
    [InlineData("whole\nto", "whole\nto\nnext\n")]
    [InlineData("whole\n", "whole\nnext\n")]
    [InlineData("", "next\n")]
    public void What_a_killed_process_left_in_the_middle_of_a_line_spoils_no_other(string left, string expected)
    {
        File.WriteAllText(Log, left);
        using var file = new LogFile(Log, 0, 0);
        Write(file, "next\n");

        Assert.Equal(expected, File.ReadAllText(Log));
    }

    [Fact]
    public void Two_that_write_to_one_file_overwrite_nothing_of_each_other()
    {
        using var one = new LogFile(Log, 0, 0);
        using var other = new LogFile(Log, 0, 0);
        Write(one, "a\n");
        Write(other, "b\n");
        Write(one, "c\n");

        Assert.Equal("a\nb\nc\n", File.ReadAllText(Log));
    }

    [Fact]
    public async Task A_FIFO_that_nobody_reads_is_an_error_at_once_and_one_that_somebody_reads_gets_the_lines()
    {
        using (var made = System.Diagnostics.Process.Start("mkfifo", Log))
            made.WaitForExit();
        var error = await Assert.ThrowsAnyAsync<IOException>(() => Task.Run(() => new LogFile(Log, 0, 0)).WaitAsync(TimeSpan.FromSeconds(10)));
        Assert.Contains(Log, error.Message, StringComparison.Ordinal);

        var read = Task.Run(() => File.ReadAllText(Log));
        LogFile? file = null;
        for (var tries = 0; file is null; tries++)
        {
            Assert.True(tries < 500, "nobody reads");
            try
            {
                file = new LogFile(Log, maxSize: 1, keep: 1);
            }
            catch (IOException)
            {
                await Task.Delay(20);
            }
        }

        Write(file, "line\n");
        file.Dispose();
        Assert.Equal("line\n", await read.WaitAsync(TimeSpan.FromSeconds(10)));
    }

    [Fact]
    public void A_file_that_was_renamed_is_left_when_asked()
    {
        using var file = new LogFile(Log, 0, 0);
        Write(file, "first\n");
        File.Move(Log, Log + ".old");
        Write(file, "second\n");
        file.Reopen();
        Write(file, "third\n");

        Assert.Equal("first\nsecond\n", File.ReadAllText(Log + ".old"));
        Assert.Equal("third\n", File.ReadAllText(Log));
    }

    [Fact]
    public void Where_it_cannot_be_opened_again_no_line_is_lost()
    {
        var moved = _directory + ".moved";
        using var file = new LogFile(Log, 0, 0);
        Directory.Move(_directory, moved);
        file.Reopen();
        Write(file, "first\n");
        Directory.Move(moved, _directory);

        Assert.Equal("first\n", File.ReadAllText(Log));
    }

    [Theory]
    [InlineData(0, "5\n", null, null)]
    [InlineData(1, "5\n", "3\n4\n", null)]
    [InlineData(2, "5\n", "3\n4\n", "1\n2\n")]
    public void Beyond_its_size_it_is_renamed_and_as_many_are_kept_as_were_asked_for(int keep, string now, string? last, string? lastButOne)
    {
        using (var file = new LogFile(Log, maxSize: 4, keep))
        {
            for (var line = 1; line <= 5; line++)
                Write(file, $"{line}\n");
        }

        Assert.Equal(now, File.ReadAllText(Log));
        Assert.Equal(last, Content(".1"));
        Assert.Equal(lastButOne, Content(".2"));
        Assert.Null(Content(".3"));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(7)]
    [InlineData(40)]
    public void What_comes_at_once_is_divided_between_files_and_no_line_is(int together)
    {
        const int MaxSize = 20;
        var lines = Enumerable.Range(10, 40).Select(i => i == 30 ? $"{i} is longer than a file may be\n" : $"{i} line\n").ToArray();
        using (var file = new LogFile(Log, MaxSize, keep: 50))
        {
            foreach (var batch in lines.Chunk(together))
                Write(file, string.Concat(batch));
        }

        string[] files = [.. Enumerable.Range(1, 50).Reverse().Select(i => Content($".{i}")).OfType<string>(), File.ReadAllText(Log)];
        Assert.Equal(string.Concat(lines), string.Concat(files));
        Assert.All(files, text => Assert.True(text.Length <= MaxSize || text == lines[20], text));
        Assert.All(files, text => Assert.EndsWith("\n", text, StringComparison.Ordinal));
    }

    [Fact]
    public void What_cannot_be_renamed_takes_all_lines()
    {
        Directory.CreateDirectory(Log + ".1");
        using var file = new LogFile(Log, maxSize: 4, keep: 1);
        Write(file, "1\n2\n3\n4\n5\n");
        Assert.Equal("1\n2\n3\n4\n5\n", File.ReadAllText(Log));
    }

    [Fact]
    public void What_is_no_file_is_not_renamed()
    {
        using var file = new LogFile("/dev/null", maxSize: 1, keep: 1);
        Write(file, "first\n");
        Write(file, "second\n");

        Assert.True(File.Exists("/dev/null"));
        Assert.False(File.Exists("/dev/null.1"));
    }

    [Fact]
    public void Lines_begin_with_the_time_where_that_is_asked_for()
    {
        var output = new MemoryStream();
        using (var logger = new LoggerConfiguration().WriteTo.Sink(new LineSink(new KeyValueFormatter(time: true), output)).CreateLogger())
            logger.Information("request {Method}", "GET");

        Assert.Matches(@"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z INFO  request    method=GET\n$", Encoding.UTF8.GetString(output.ToArray()));
    }

    private static void Write(LogFile file, string text) => file.Write(Encoding.UTF8.GetBytes(text));

    private string? Content(string ending) => File.Exists(Log + ending) ? File.ReadAllText(Log + ending) : null;
}
