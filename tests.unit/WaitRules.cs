using System.Text.RegularExpressions;
using Discobot.Tests.Fixtures;

namespace Discobot.Rules;

/// <summary>Process 1 and its steps wait for nobody without a limit, and tests for what they are about. Read from the sources: who waits otherwise says there why.</summary>
public sealed partial class WaitRules
{
    private const string Reason = "No limit: ";
    private const string ByTime = "By time: ";
    private static readonly string[] Folders = ["Features/Init", "Features/Shutdown", "Features/TrustStore", "Infrastructure/Native", "Infrastructure/Logging"];

    [Fact]
    public void A_wait_without_a_limit_says_why()
    {
        var offences = Folders.SelectMany(Sources).SelectMany(file => Offences(File.ReadAllLines(file)).Select(line => $"{Path.GetFileName(file)}:{line}"));
        Assert.Equal([], offences);
    }

    /// <summary>A pause in a loop is between two looks, or a slow peer's. Any other is as long as it is whatever the machine does: who writes one, as
    /// time is the subject or nothing tells, says so.</summary>
    [Fact]
    public void A_test_that_lets_time_pass_says_why()
    {
        var files = new[] { "tests.unit", "tests.integration" }.SelectMany(AllSources)
            .Concat(new[] { "Features", "Infrastructure" }.SelectMany(AllSources).Where(file => file.EndsWith(".Tests.cs", StringComparison.Ordinal)));
        Assert.Equal([], files.SelectMany(file => Pauses(File.ReadAllLines(file)).Select(line => $"{Path.GetFileName(file)}:{line}")));
    }

    [Theory]
    [InlineData("await Task.Delay(300);", 1)]
    [InlineData("Thread.Sleep(1); // nobody knows", 1)]
    [InlineData("// By time: that nothing comes.\nawait Task.Delay(300);", 0)]
    [InlineData("await Task.Delay(Timeout.Infinite, stop);", 0)]
    [InlineData("await Task.Delay(30_000, context.RequestAborted);", 0)]
    [InlineData("for (; !done(); await Task.Delay(20))", 0)]
    [InlineData("while (!done())\n    await Task.Delay(20);", 0)]
    [InlineData("while (!done())\n{\n    try\n    {\n        look();\n    }\n    catch\n    {\n        await Task.Delay(20);\n    }\n}", 0)]
    [InlineData("foreach (var x in y)\n{\n    z(x);\n}\n\nawait Task.Delay(20);", 1)]
    [InlineData("while (true)\n{\n    serve(async () =>\n    {\n        await Task.Delay(20);\n    });\n}", 1)]
    public void What_lets_time_pass_is_this(string source, int offences) => Assert.Equal(offences, Pauses(source.Split('\n')).Count());

    /// <summary>A FIFO in the place of a file would be waited for, so what may be one is read by way of RegularFile or DirectoryHandle.</summary>
    [Fact]
    public void No_step_opens_a_file_that_may_be_a_FIFO()
    {
        var offences = Sources("Features/Init").Concat(Sources("Features/Shutdown"))
            .SelectMany(file => File.ReadAllLines(file).Where(line => Reading().IsMatch(line)).Select(line => $"{Path.GetFileName(file)}: {line.Trim()}"));
        Assert.Equal([], offences);
    }

    [Theory]
    [InlineData("await Task.Delay(Timeout.Infinite, stop);", 1)]
    [InlineData("// No limit: the agent's end ends it.\nawait Task.Delay(Timeout.Infinite, stop);", 0)]
    [InlineData("_more.WaitOne();", 1)]
    [InlineData("await process.WaitForExitAsync();", 1)]
    [InlineData("poll.Wait(-1, x);", 1)]
    [InlineData("_ = Poll(ref wait, 1, -1);", 1)]
    [InlineData("if (_writer.Join(TimeSpan.FromSeconds(2)))", 0)]
    public void The_rule_is_this(string source, int offences) => Assert.Equal(offences, Offences(source.Split('\n')).Count());

    [Theory]
    [InlineData("File.ReadAllText(path)", true)]
    [InlineData("paths.SelectMany(File.ReadLines)", true)]
    [InlineData("new FileStream(path, FileMode.Open)", true)]
    [InlineData("RegularFile.ReadAllText(path)", false)]
    [InlineData("File.ReadLines(\"/proc/self/status\")", false)]
    public void What_opens_a_file_is_this(string source, bool opens) => Assert.Equal(opens, Reading().IsMatch(source));

    private static IEnumerable<string> Sources(string folder) => AllSources(folder).Where(file => !file.EndsWith(".Tests.cs", StringComparison.Ordinal));

    private static IEnumerable<string> AllSources(string folder) => Directory.EnumerateFiles(Path.Combine(Checkout.Top(), folder), "*.cs", SearchOption.AllDirectories);

    private static IEnumerable<string> Pauses(string[] lines)
        => Enumerable.Range(0, lines.Length).Where(i => Pause().IsMatch(lines[i]) && !IsInLoop(lines, i) && !lines[Math.Max(0, i - 3)..i].Any(line => line.Contains(ByTime, StringComparison.Ordinal)))
            .Select(i => $"{i + 1}: {lines[i].Trim()}");

    // By the indentation that the formatter keeps: what is around a line, but for conditions and the like.
    private static bool IsInLoop(string[] lines, int at)
    {
        var depth = Depth(lines[at]) + 1;
        for (var i = at; i >= 0; i--)
        {
            if (lines[i].Length == 0 || Depth(lines[i]) >= depth)
                continue;
            if (Loop().IsMatch(lines[i]))
                return true;
            if (i < at && !Brace().IsMatch(lines[i]) && !Condition().IsMatch(lines[i]))
                return false;
            // The head of a block is as deep as its braces.
            depth = Depth(lines[i]) + (Brace().IsMatch(lines[i]) ? 1 : 0);
        }

        return false;
    }

    private static int Depth(string line) => line.Length - line.TrimStart().Length;

    private static IEnumerable<string> Offences(string[] lines)
        => Enumerable.Range(0, lines.Length).Where(i => Unlimited().IsMatch(lines[i]) && !lines[Math.Max(0, i - 3)..(i + 1)].Any(line => line.Contains(Reason, StringComparison.Ordinal)))
            .Select(i => $"{i + 1}: {lines[i].Trim()}");

    [GeneratedRegex(@"Timeout\.Infinite|InfiniteTimeSpan|\.WaitOne\(\)|\.Join\(\)|\.Wait\(\)|WaitForExit(Async)?\(\)|[(,:] ?-1[,)]|await started\.Task|ReadToEnd(Async)?\(\)")]
    private static partial Regex Unlimited();

    [GeneratedRegex(@"^(?! *\[InlineData).*(Task\.Delay|Thread\.Sleep)\((?!.*(Infinite|RequestAborted))")]
    private static partial Regex Pause();

    [GeneratedRegex(@"^ *(await )?(for|foreach|while|do)\b")]
    private static partial Regex Loop();

    [GeneratedRegex(@"^ *[{}]$")]
    private static partial Regex Brace();

    [GeneratedRegex(@"^ *((else|try|catch|finally)\b|(if|(await )?using|lock) \()")]
    private static partial Regex Condition();

    [GeneratedRegex(@"(?<!Regular)File\.(ReadAll\w+|ReadLines|Open\w*)\b(?!\(""/proc/)|new FileStream\(|new StreamReader\(")]
    private static partial Regex Reading();
}
