using System.Text;
using Serilog;

namespace Discobot.Infrastructure.Logging;

public class KeyValueFormatterTests
{
    [Fact]
    public void Events_are_words_and_pairs_in_columns()
    {
        var lines = Lines(new KeyValueFormatter(), log =>
        {
            log.Information("request {Method} {Host} {Path}", "GET", "registry.example", "/v2/");
            log.Information("cache hit {Path}", "/v2/x");
            log.Warning("a sentence, with {Count} things", 3);
        });

        Assert.Equal(
            [
                "INFO  request    method=GET host=registry.example path=/v2/",
                "INFO  cache hit  path=/v2/x",
                "WARN  a sentence, with 3 things",
            ],
            lines);
    }

    [Fact]
    public void Nothing_from_outside_can_end_a_line_or_forge_a_pair()
    {
        var line = Assert.Single(Lines(new KeyValueFormatter(), log => log.Information("request {Path}", "/a b=c\nINFO \"x\"")));

        Assert.Equal("""INFO  request    path="/a b=c\u000aINFO \"x\"" """.TrimEnd(), line);
    }

    [Fact]
    public void Json_is_one_object_a_line_with_numbers_as_numbers()
    {
        var line = Assert.Single(Lines(new JsonLineFormatter(), log => log.Information("response {Host} {Status}", "h", 200)));

        Assert.EndsWith("""
            "level":"info","message":"response","host":"h","status":200}
            """, line, StringComparison.Ordinal);
    }

    [Fact]
    public void No_line_is_lost_or_torn_at_the_end()
    {
        var lines = Lines(new KeyValueFormatter(), log => Parallel.For(0, 20_000, i => log.Information("request {Number}", i)));

        Assert.Equal(20_000, lines.Distinct().Count(l => l.StartsWith("INFO  request    number=", StringComparison.Ordinal)));
    }

    [Fact]
    public void A_reader_that_is_too_slow_costs_lines_and_is_told_how_many()
    {
        using var reader = new SlowReader();
        using (var logger = new LoggerConfiguration().WriteTo.Sink(new LineSink(new KeyValueFormatter(), reader)).CreateLogger())
        {
            logger.Information("first {Number}", 1);
            Assert.True(reader.Asked.Wait(TimeSpan.FromSeconds(10)));
            var text = new string('x', 1 << 20);
            for (var i = 0; i < 20; i++)
                logger.Information("much {Text}", text);
            reader.Reads.Set();
        }

        var lines = Encoding.UTF8.GetString(reader.Received.ToArray()).TrimEnd('\n').Split('\n');
        Assert.Equal("INFO  first      number=1", lines[0]);
        Assert.Equal(16, lines.Count(l => l.StartsWith("INFO  much ", StringComparison.Ordinal)));
        Assert.Equal("WARN  4 log lines were dropped: the log's reader is too slow", lines[^1]);
    }

    private static string[] Lines(Serilog.Formatting.ITextFormatter formatter, Action<ILogger> write)
    {
        var output = new MemoryStream();
        using (var logger = new LoggerConfiguration().WriteTo.Sink(new LineSink(formatter, output)).CreateLogger())
            write(logger);
        return Encoding.UTF8.GetString(output.ToArray()).TrimEnd('\n').Split('\n');
    }

    private sealed class SlowReader : MemoryStream
    {
        public ManualResetEventSlim Asked { get; } = new();

        public ManualResetEventSlim Reads { get; } = new();

        /// <summary>What arrived; the sink disposes the reader itself.</summary>
        public MemoryStream Received { get; } = new();

        public override void Write(ReadOnlySpan<byte> buffer)
        {
            Asked.Set();
            Reads.Wait(TimeSpan.FromSeconds(10));
            Received.Write(buffer);
        }
    }
}
