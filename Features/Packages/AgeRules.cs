using System.Globalization;
using System.IO.Enumeration;
using Discobot.Infrastructure.Config;

namespace Discobot.Features.Packages;

/// <summary>Which versions of packages are old enough: immutable, swapped whole on reload.</summary>
internal sealed class AgeRules(PackageOptions options)
{
    /// <summary>Whether any version is kept back.</summary>
    public bool IsOn => options.MinAge > TimeSpan.Zero || options.Before is not null;

    /// <summary>Whether the versions of a package of that name are never kept back.</summary>
    public bool Excludes(string package)
    {
        foreach (var pattern in options.MinAgeExclude)
        {
            if (FileSystemName.MatchesSimpleExpression(pattern.Replace("\\", "\\\\", StringComparison.Ordinal), package))
                return true;
        }

        return false;
    }

    /// <summary>Whether a version that was published then may be seen. One whose time nobody tells may not.</summary>
    public bool Shows(DateTimeOffset? published, DateTimeOffset now) =>
        published is { } time && (options.MinAge == TimeSpan.Zero || time <= now - options.MinAge) && (options.Before is not { } before || time < before);

    /// <summary>Why a version is kept back, and until when.</summary>
    public string Reason(string package, string version, DateTimeOffset? published)
    {
        if (published is not { } time)
            return $"the registry does not say when {package} {version} was published, and {Key} is set; packages.min_age_exclude lets it pass.";
        if (options.Before is { } before && time >= before)
            return $"{package} {version} was published {Text(time)}, and packages.before is {Text(before)}; packages.min_age_exclude lets it pass.";
        return $"{package} {version} was published {Text(time)}, less than {Quantity.Format(options.MinAge)} ago (packages.min_age): "
            + $"it can be had from {Text(time + options.MinAge)}.";
    }

    /// <summary>When a version can be had, in few words.</summary>
    public string Until(DateTimeOffset? published) =>
        published is not { } time ? "publish time unknown"
        : options.Before is { } before && time >= before ? "packages.before"
        : "until " + Text(time + options.MinAge);

    /// <summary>The key of the configuration that decides.</summary>
    public string Key => options.MinAge > TimeSpan.Zero ? "packages.min_age" : "packages.before";

    private static string Text(DateTimeOffset time) => time.UtcDateTime.ToString("yyyy-MM-dd HH:mm 'UTC'", CultureInfo.InvariantCulture);
}
