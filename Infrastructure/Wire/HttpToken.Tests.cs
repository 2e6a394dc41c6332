using System.Text.RegularExpressions;
using Discobot.Tests.Fixtures;

namespace Discobot.Infrastructure.Wire;

public sealed partial class HttpTokenTests
{
    [Fact]
    public void The_case_of_a_method_counts()
    {
        Assert.True(Methods.IsGet("GET") && Methods.IsHead("HEAD") && Methods.IsOptions("OPTIONS") && Methods.IsConnect("CONNECT"));
        Assert.False(Methods.IsGet("get") || Methods.IsHead("Head") || Methods.IsOptions("options") || Methods.IsConnect("Connect"));
    }

    /// <summary>The framework's own are for the REST API, which is nobody else's. TRACE, of which secrets are kept, is meant in any case.</summary>
    [Fact]
    public void Nobody_takes_another_method_for_one_of_these()
    {
        var top = Checkout.Top();
        var files = new[] { "Features", "Infrastructure" }.SelectMany(folder => Directory.EnumerateFiles(Path.Combine(top, folder), "*.cs", SearchOption.AllDirectories))
            .Where(file => !file.EndsWith(".Tests.cs", StringComparison.Ordinal) && !file.StartsWith(Path.Combine(top, "Features/Api"), StringComparison.Ordinal));
        Assert.DoesNotContain(files, file => Framework().IsMatch(File.ReadAllText(file)));
    }

    [GeneratedRegex(@"HttpMethods\.Is(Get|Head|Options|Connect|Post|Put|Delete)\(")]
    private static partial Regex Framework();
}
