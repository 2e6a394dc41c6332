using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;

namespace Discobot.Infrastructure.Config;

/// <summary>Options, or every reason why there are none.</summary>
internal sealed class ConfigResult<T> where T : class
{
    private ConfigResult(T? value, ImmutableArray<ConfigError> errors)
    {
        Value = value;
        Errors = errors;
    }

    /// <summary>Null exactly when there are errors.</summary>
    public T? Value { get; }

    /// <summary>In the order of the document; empty when the value is good.</summary>
    public ImmutableArray<ConfigError> Errors { get; }

    [MemberNotNullWhen(true, nameof(Value))]
    public bool IsValid => Value is not null;

    public static ConfigResult<T> Of(T? value, ConfigErrors errors) =>
        errors.Count == 0 ? new ConfigResult<T>(value, []) : new ConfigResult<T>(null, errors.ToImmutable());

    /// <summary>One error a line, as a person reads them.</summary>
    public string ErrorText() => string.Join('\n', Errors);
}
