using System.Text.RegularExpressions;
using Discobot.Tests.Fixtures;

namespace Discobot.Rules;

/// <summary>What may depend on what: read from the compiled program, and from its using directives for what the compiler leaves no trace of.</summary>
public sealed partial class DependencyRules
{
    private const string Features = "Discobot.Features.";
    private const string Infrastructure = "Discobot.Infrastructure";

    [Fact]
    public void The_program_keeps_to_what_may_depend_on_what()
    {
        var program = typeof(Infrastructure.Wire.ConnectTarget).Assembly;
        var offences = program.GetTypes().SelectMany(Offences).Distinct().Order(StringComparer.Ordinal).ToArray();
        Assert.True(offences.Length == 0, string.Join('\n', offences));
    }

    [Fact]
    public void The_sources_import_only_what_they_may_depend_on()
    {
        var offences = SourceFiles().SelectMany(file => ImportOffences(File.ReadAllText(file))).Distinct().ToArray();
        Assert.True(offences.Length == 0, string.Join('\n', offences));
    }

    [Theory]
    [InlineData("Discobot.Features.Cache", "Discobot.Infrastructure.Wire", "Any", true)]
    [InlineData("Discobot.Features.Cache", "Discobot.Features.Cache.Index", "Any", true)]
    [InlineData("Discobot.Features.Cache", "Discobot.Features.Headers", "Any", false)]
    [InlineData("Discobot.Infrastructure.Wire", "Discobot.Features.Cache", "Any", false)]
    [InlineData("Discobot.Features.Api", "Discobot.Features.Cache", "Any", true)]
    [InlineData("Discobot.Features.Cache", "Discobot.Features.Api", "Any", false)]
    [InlineData("Discobot.Features.TrustStore", "Discobot.Features.Certificates", "Any", true)]
    [InlineData("Discobot.Features.Certificates", "Discobot.Features.TrustStore", "Any", false)]
    [InlineData("Discobot.Features.Shutdown", "Discobot.Features.Init", "Any", true)]
    [InlineData("Discobot.Features.Init", "Discobot.Features.Shutdown", "Any", false)]
    [InlineData("Discobot.Features.Init", "Discobot.Features.Egress", "Any", true)]
    [InlineData("Discobot.Features.Egress", "Discobot.Features.Init", "Any", false)]
    [InlineData("Discobot.Features.Configuration", "Discobot.Features.Cache", "CacheOptions", true)]
    [InlineData("Discobot.Features.Configuration", "Discobot.Features.Allowlist", "AllowlistMode", true)]
    [InlineData("Discobot.Features.Configuration", "Discobot.Features.Cache", "CacheStore", false)]
    [InlineData("Discobot.Features.CommandLine", "Discobot.Features.Init", "Any", true)]
    [InlineData("", "Discobot.Features.Init", "Any", true)]
    [InlineData("Discobot.Infrastructure.Wire", "Discobot.FeaturesElsewhere", "Any", true)]
    public void The_rules_are_these(string from, string to, string type, bool allowed) => Assert.Equal(allowed, Allows(from, to, type));

    [Fact]
    public void An_offence_inside_a_method_body_is_seen()
    {
        var offence = Assert.Single(Offences(typeof(Features.OffendingExample.Offender)));
        Assert.Contains("OffendingExample.Offender", offence, StringComparison.Ordinal);
        Assert.Contains("OffendedExample.Offended", offence, StringComparison.Ordinal);
    }

    [Fact]
    public void An_offence_by_import_is_seen()
    {
        const string source = "using System;\nusing Discobot.Features.Headers;\n\nnamespace Discobot.Features.Cache;\n";
        Assert.Contains("Discobot.Features.Headers", Assert.Single(ImportOffences(source)), StringComparison.Ordinal);
    }

    private static bool Allows(string from, string to, string type)
    {
        if (FeatureOf(to) is not { } target)
            return true;
        if (from == Infrastructure || from.StartsWith(Infrastructure + ".", StringComparison.Ordinal))
            return false;
        return (FeatureOf(from), target) switch
        {
            (null, _) or ("CommandLine", _) or ("Api", _) => true,
            ("TrustStore", "Certificates") or ("Shutdown", "Init") or ("Init", "Egress") => true,
            ("Configuration", _) when type.EndsWith("Options", StringComparison.Ordinal) || type.EndsWith("Mode", StringComparison.Ordinal) => true,
            (var origin, _) => origin == target,
        };
    }

    private static string? FeatureOf(string @namespace) =>
        @namespace.StartsWith(Features, StringComparison.Ordinal) ? @namespace[Features.Length..].Split('.')[0] : null;

    private static IEnumerable<string> Offences(Type type) =>
        from used in TypeReferences.Of(type)
        where !Allows(type.Namespace ?? "", used.Namespace ?? "", used.Name)
        select $"{type} uses {used}";

    private static IEnumerable<string> ImportOffences(string source)
    {
        var importer = NamespacePattern().Match(source).Groups[1].Value;
        return from import in ImportPattern().Matches(source)
               let to = import.Groups[1].Value
               // Which types an import is for, only the compiled program tells.
               where FeatureOf(importer) != "Configuration" && !Allows(importer, to, "")
               select $"{importer} imports {to}";
    }

    private static IEnumerable<string> SourceFiles()
    {
        var top = Checkout.Top();
        return from folder in new[] { "Features", "Infrastructure" }
               where Directory.Exists(Path.Combine(top, folder))
               from file in Directory.EnumerateFiles(Path.Combine(top, folder), "*.cs", SearchOption.AllDirectories)
               where !file.EndsWith(".Tests.cs", StringComparison.Ordinal)
               select file;
    }

    [GeneratedRegex(@"^namespace\s+([\w.]+)", RegexOptions.Multiline)]
    private static partial Regex NamespacePattern();

    [GeneratedRegex(@"^\s*(?:global\s+)?using\s+(?:static\s+)?(?:\w+\s*=\s*)?(Discobot\.[\w.]+)", RegexOptions.Multiline)]
    private static partial Regex ImportPattern();
}
