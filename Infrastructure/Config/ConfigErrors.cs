using System.Collections.Immutable;

namespace Discobot.Infrastructure.Config;

/// <summary>Where something was written.</summary>
/// <param name="Source">A file's path, or a word such as <c>environment</c> or <c>request body</c>.</param>
/// <param name="Line">From 1; 0 where the source has no lines.</param>
/// <param name="Column">From 1, in characters.</param>
internal readonly record struct ConfigPlace(string Source, int Line = 0, int Column = 0)
{
    public override string ToString() => Line == 0 ? Source : $"{Source}:{Line}:{Column}";
}

/// <summary>One mistake, printed as <c>file:line:column: key.path: what is wrong; what is allowed</c>.</summary>
internal sealed record ConfigError(ConfigPlace Place, string Path, string Message)
{
    public override string ToString() => Path.Length == 0 ? $"{Place}: {Message}" : $"{Place}: {Path}: {Message}";
}

/// <summary>Collects every mistake of one document, so that all are told at once.</summary>
internal sealed class ConfigErrors
{
    /// <summary>More than this many are counted, not kept: a hostile file must not fill the log.</summary>
    public const int Kept = 200;

    private readonly List<ConfigError> _errors = [];
    private int _dropped;

    public int Count => _errors.Count + _dropped;

    public void Add(ConfigPlace place, string path, string message)
    {
        if (_errors.Count < Kept)
            _errors.Add(new ConfigError(place, path, message));
        else
            _dropped++;
    }

    public void AddRange(IEnumerable<ConfigError> errors)
    {
        foreach (var error in errors)
            Add(error.Place, error.Path, error.Message);
    }

    /// <summary>All of them in the order of the document.</summary>
    public ImmutableArray<ConfigError> ToImmutable()
    {
        var sorted = _errors.OrderBy(e => e.Place.Line).ThenBy(e => e.Place.Column).ToList();
        if (_dropped > 0)
            sorted.Add(new ConfigError(new ConfigPlace(sorted[^1].Place.Source), "", $"{_dropped} more mistakes are not shown"));
        return [.. sorted];
    }
}
