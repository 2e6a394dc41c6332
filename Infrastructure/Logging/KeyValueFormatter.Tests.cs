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

    private static string[] Lines(Serilog.Formatting.ITextFormatter formatter, Action<ILogger> write)
    {
        var output = new MemoryStream();
        using (var logger = new LoggerConfiguration().WriteTo.Sink(new LineSink(formatter, output)).CreateLogger())
            write(logger);
        return Encoding.UTF8.GetString(output.ToArray()).TrimEnd('\n').Split('\n');
    }
}
