using System.Reflection;
using System.Text.RegularExpressions;
using Discobot.Tests.Fixtures;

namespace Discobot.Rules;

/// <summary>The page of guarantees names tests: each of them exists, and each line has one.</summary>
public sealed partial class GuaranteesPage
{
    private static readonly string Top = Checkout.Top();

    [Fact]
    public void Every_test_it_names_exists()
    {
        var names = Names().Matches(Page()).ToList();
        Assert.True(names.Count > 100);
        var missing = names.Where(name => !Exists(name.Groups[1].Value, name.Groups[2].Value, name.Groups[3].Value)).Select(name => name.Value).ToList();
        Assert.True(missing.Count == 0, string.Join('\n', missing));
    }

    [Fact]
    public void Every_guarantee_has_a_test()
    {
        var lines = Page().Split('\n').Where(line => line.StartsWith("| ", StringComparison.Ordinal) && !line.EndsWith("| held by |", StringComparison.Ordinal)).ToList();
        Assert.NotEmpty(lines);
        Assert.All(lines, line => Assert.Matches(Names(), line));
    }

    [Theory]
    [InlineData("    [Fact]\n    public void M()\n", true)]
    [InlineData("    [Theory, MemberData(nameof(Distro.All), MemberType = typeof(Distro))]\n    public async Task M(Distro distro)\n", true)]
    [InlineData("    [Theory]\n    [InlineData(1)]\n    [InlineData(2)]\n    public async Task M(int a)\n", true)]
    [InlineData("    public void M()\n", false)]
    [InlineData("    [Fact]\n    public void Other()\n    {\n    }\n\n    public Task M()\n", false)]
    [InlineData("    // [Fact]\n    public void M()\n", false)]
    [InlineData("    [Fact(Skip = \"later\")]\n    public void M()\n", false)]
    [InlineData("    [InlineData(1)]\n    public void M()\n", false)]
    public void Only_a_method_that_is_run_as_a_test_counts(string code, bool counts) => Assert.Equal(counts, IsTest(code, "M"));

    // The attributes in the lines right above the method, one of which makes it a test that is run.
    private static bool IsTest(string code, string method)
    {
        var found = Regex.Match(code, $@"^(?<attributes>(?:    \[[^\n]*\]\n)+)    public (?:async )?(?:Task|void) {method}\(", RegexOptions.Multiline);
        return Regex.IsMatch(found.Groups["attributes"].Value, @"\[(Fact|Theory)\b") && !found.Groups["attributes"].Value.Contains("Skip =", StringComparison.Ordinal);
    }

    private static string Page() => File.ReadAllText(Path.Combine(Top, "docs/guarantees.md"));

    private static bool Exists(string directory, string type, string method)
    {
        if (directory.Length == 0)
        {
            return typeof(GuaranteesPage).Assembly.GetTypes().Any(t => t.Name == type
                && t.GetMethods().Any(m => m.Name == method && m.GetCustomAttribute<FactAttribute>() is { Skip: null }));
        }

        var file = Path.Combine(Top, directory, type + ".cs");
        return File.Exists(file) && IsTest(File.ReadAllText(file), method);
    }

    [GeneratedRegex(@"`(tests\.integration/\w+/)?(\w+Tests)\.(\w+)`")]
    private static partial Regex Names();
}
