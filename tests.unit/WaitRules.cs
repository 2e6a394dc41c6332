using System.Text.RegularExpressions;
using Discobot.Tests.Fixtures;

namespace Discobot.Rules;

/// <summary>Process 1 and its steps wait for nobody without a limit. Read from the sources: who writes such a wait says there why it has none.</summary>
public sealed partial class WaitRules
{
    private const string Reason = "No limit: ";
    private static readonly string[] Folders = ["Features/Init", "Features/Shutdown", "Features/TrustStore", "Infrastructure/Native", "Infrastructure/Logging"];

    [Fact]
    public void A_wait_without_a_limit_says_why()
    {
        var offences = Folders.SelectMany(Sources).SelectMany(file => Offences(File.ReadAllLines(file)).Select(line => $"{Path.GetFileName(file)}:{line}"));
        Assert.Equal([], offences);
    }

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

    private static IEnumerable<string> Sources(string folder)
        => Directory.EnumerateFiles(Path.Combine(Checkout.Top(), folder), "*.cs", SearchOption.AllDirectories).Where(file => !file.EndsWith(".Tests.cs", StringComparison.Ordinal));

    private static IEnumerable<string> Offences(string[] lines)
        => Enumerable.Range(0, lines.Length).Where(i => Unlimited().IsMatch(lines[i]) && !lines[Math.Max(0, i - 3)..(i + 1)].Any(line => line.Contains(Reason, StringComparison.Ordinal)))
            .Select(i => $"{i + 1}: {lines[i].Trim()}");

    [GeneratedRegex(@"Timeout\.Infinite|InfiniteTimeSpan|\.WaitOne\(\)|\.Join\(\)|\.Wait\(\)|WaitForExit(Async)?\(\)|[(,:] ?-1[,)]|await started\.Task|ReadToEnd(Async)?\(\)")]
    private static partial Regex Unlimited();

    [GeneratedRegex(@"(?<!Regular)File\.(ReadAll\w+|ReadLines|Open\w*)\b(?!\(""/proc/)|new FileStream\(|new StreamReader\(")]
    private static partial Regex Reading();
}
