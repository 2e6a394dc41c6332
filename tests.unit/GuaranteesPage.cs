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

    private static string Page() => File.ReadAllText(Path.Combine(Top, "docs/guarantees.md"));

    private static bool Exists(string directory, string type, string method)
    {
        if (directory.Length == 0)
        {
            return typeof(GuaranteesPage).Assembly.GetTypes().Any(t => t.Name == type
                && t.GetMethods().Any(m => m.Name == method && m.GetCustomAttribute<FactAttribute>() is not null));
        }

        var file = Path.Combine(Top, directory, type + ".cs");
        return File.Exists(file) && Regex.IsMatch(File.ReadAllText(file), $@"^    public (async )?(Task|void) {method}\(", RegexOptions.Multiline);
    }

    [GeneratedRegex(@"`(tests\.integration/\w+/)?(\w+Tests)\.(\w+)`")]
    private static partial Regex Names();
}
