using System.Text.RegularExpressions;
using Discobot.Tests.Fixtures;

namespace Discobot.Rules;

/// <summary>The page of the structure names files and folders: each of them is there, and no feature is left out.</summary>
public sealed partial class ArchitecturePage
{
    private static readonly string Top = Checkout.Top();

    [Fact]
    public void Every_file_and_folder_it_names_is_there()
    {
        var files = Directory.EnumerateFiles(Path.Combine(Top, "Features"), "*", SearchOption.AllDirectories)
            .Concat(Directory.EnumerateFiles(Path.Combine(Top, "Infrastructure"), "*", SearchOption.AllDirectories)).ToList();
        var names = Names().Matches(Page()).Select(match => match.Groups[1].Value).Distinct().ToList();
        Assert.True(names.Count > 30);
        var missing = names.Where(name => !Path.Exists(Path.Combine(Top, name)) && !files.Any(file => file.EndsWith("/" + name, StringComparison.Ordinal)));
        Assert.Equal([], missing);
    }

    [Theory]
    [InlineData("Features")]
    [InlineData("Infrastructure")]
    public void No_folder_holds_more_files_than_a_newcomer_reads_at_once(string top)
    {
        var crowded = Directory.EnumerateDirectories(Path.Combine(Top, top), "*", SearchOption.AllDirectories)
            .Select(folder => (folder, Count: Directory.EnumerateFiles(folder, "*.cs").Count(file => !file.EndsWith(".Tests.cs", StringComparison.Ordinal))))
            .Where(folder => folder.Count > 20)
            .Select(folder => $"{Path.GetRelativePath(Top, folder.folder)} has {folder.Count}");
        Assert.Equal([], crowded);
    }

    private static string Page() => File.ReadAllText(Path.Combine(Top, "docs/architecture.md"));

    [GeneratedRegex(@"`((?:[A-Za-z0-9]+/)*[A-Za-z0-9]+(?:\.cs|\.props|\.md)|(?:Features|Infrastructure)(?:/[A-Za-z0-9]+)+)`")]
    private static partial Regex Names();
}
