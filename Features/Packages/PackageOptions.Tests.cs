using Discobot.Infrastructure.Config;

namespace Discobot.Features.Packages;

public sealed class PackageOptionsTests
{
    private static readonly DateTimeOffset Now = new(2026, 3, 10, 12, 0, 0, TimeSpan.Zero);

    [Theory]
    [InlineData("min_age: 3d", "2026-03-07T12:00:00Z", true)]
    [InlineData("min_age: 3d", "2026-03-07T12:00:01Z", false)]
    [InlineData("min_age: 3d", "2027-01-01T00:00:00Z", false)]
    [InlineData("min_age: 3d", null, false)]
    [InlineData("before: 2026-03-01", "2026-02-28T23:59:59Z", true)]
    [InlineData("before: 2026-03-01", "2026-03-01T00:00:00Z", false)]
    [InlineData("before: '2026-03-01T01:00:00+01:00'", "2026-03-01T00:00:00Z", false)]
    [InlineData("min_age: 3d, before: 2026-03-09", "2026-03-08T00:00:00Z", false)]
    [InlineData("before: 2026-03-01", null, false)]
    public void A_version_is_shown_that_is_old_enough_and_of_which_that_is_known(string yaml, string? published, bool shown)
    {
        var rules = new AgeRules(Read($"{{{yaml}}}").Options);
        Assert.True(rules.IsOn);
        Assert.Equal(shown, rules.Shows(published is null ? null : DateTimeOffset.Parse(published, System.Globalization.CultureInfo.InvariantCulture), Now));
    }

    [Theory]
    [InlineData("@ours/*", "@ours/a", true)]
    [InlineData("@ours/*", "@others/ours", false)]
    [InlineData("left", "left", true)]
    [InlineData("left", "left-pad", false)]
    [InlineData("*-internal", "a-internal", true)]
    public void Excluded_are_names_and_patterns(string pattern, string package, bool excluded) =>
        Assert.Equal(excluded, new AgeRules(Read($"{{min_age_exclude: ['{pattern}']}}").Options).Excludes(package));

    [Fact]
    public void Nothing_is_kept_back_unless_it_is_asked_for() => Assert.False(new AgeRules(Read("{}").Options).IsOn);

    [Theory]
    [InlineData("3", "config.yaml:1:21: packages.min_age: give a unit, as 3d")]
    [InlineData("'72.5'", "config.yaml:1:21: packages.min_age: give a unit, as 72.5d")]
    [InlineData("0", "")]
    [InlineData("3d", "")]
    public void An_age_without_a_unit_is_refused(string age, string error) =>
        Assert.StartsWith(error, Read($"{{min_age: {age}}}").Errors, StringComparison.Ordinal);

    [Fact]
    public void Mistakes_are_told_with_their_places()
    {
        var (_, errors) = Read("{min_age: soon, before: yesterday, min_age_exclude: ['a b']}");
        Assert.Contains("min_age: must be a time", errors, StringComparison.Ordinal);
        Assert.Contains("before: must be a date as 2026-01-01", errors, StringComparison.Ordinal);
        Assert.Contains("min_age_exclude[0]: must be a package's name", errors, StringComparison.Ordinal);
    }

    private static (PackageOptions Options, string Errors) Read(string yaml)
    {
        var result = new Configuration.SettingsSources(null, new Dictionary<string, string>(), new Dictionary<string, string>(), "/data")
            .Load(ConfigDocument.Parse($"packages: {yaml}", "config.yaml"));
        return (result.Value?.Packages ?? new PackageOptions(), result.ErrorText());
    }
}
